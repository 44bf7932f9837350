"""What the rules read: config, digests of code, plan, requests. Only rules import it."""
