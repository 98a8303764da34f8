"""Pictures and tables, in the terminal and as files."""


def loss_text(loss: float) -> str:
    """Return a loss with four decimals; one that has diverged with four digits and an exponent."""
    return f"{loss:.4f}" if loss < 1e6 else f"{loss:.4g}"
