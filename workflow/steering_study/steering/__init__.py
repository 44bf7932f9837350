"""What steering does: attack success, flips, coefficients, side effects."""
