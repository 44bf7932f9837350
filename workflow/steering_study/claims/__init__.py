"""The paper's claims: a number, its interval and a verdict each."""
