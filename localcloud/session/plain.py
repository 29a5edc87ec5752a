"""Text that others wrote, on a terminal."""


def plain(text: str) -> str:
    """`text` with whatever does not print shown as its escape: control sequences, line breaks, marks that turn the
    direction of writing. A log line or a row cannot draw over, forge or hide another.
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
