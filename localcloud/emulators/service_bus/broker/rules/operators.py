"""What the operators do. None is unknown.

Documented: three-valued logic, C# semantics of numbers. Our reading: operands whose types cannot be compared give
unknown, so the message is not selected; text is compared by code points, with case; dividing whole numbers by zero is
an error of the evaluation.
"""

import math
import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from localcloud.emulators.service_bus.broker.rules.sql import FilterError

Number = (int, float, Decimal)


def _numbers(left: Any, right: Any) -> tuple[Any, Any] | None:
    """Both as numbers of one kind; booleans are none."""
    if (
        isinstance(left, bool)
        or isinstance(right, bool)
        or not (isinstance(left, Number) and isinstance(right, Number))
    ):
        return None
    if isinstance(left, float) or isinstance(right, float):
        return float(left), float(right)
    return left, right


def comparable(left: Any, right: Any) -> tuple[Any, Any] | None:
    """A pair that can be compared, or None."""
    if left is None or right is None:
        return None
    pair = _numbers(left, right)
    if pair is not None:
        return pair
    kinds = {type(left), type(right)}
    if len(kinds) == 1 or (isinstance(left, str) and isinstance(right, str)):
        return left, right
    return None


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool | None]:
    def operator(left: Any, right: Any) -> bool | None:
        pair = comparable(left, right)
        if pair is None or isinstance(pair[0], bool):
            return None
        try:
            return compare(*pair)
        except TypeError:  # equality is all that its type has, as for maps
            return None

    return operator


def equal(left: Any, right: Any) -> bool | None:
    """The operator =."""
    pair = comparable(left, right)
    return None if pair is None else bool(pair[0] == pair[1])


def unequal(left: Any, right: Any) -> bool | None:
    """The operators <> and !=."""
    same = equal(left, right)
    return None if same is None else not same


COMPARISONS: Final[dict[str, Callable[[Any, Any], bool | None]]] = {
    "=": equal,
    "<>": unequal,
    "!=": unequal,
    "<": _ordered(lambda left, right: left < right),
    "<=": _ordered(lambda left, right: left <= right),
    ">": _ordered(lambda left, right: left > right),
    ">=": _ordered(lambda left, right: left >= right),
}


def _arithmetic(operate: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def operator(left: Any, right: Any) -> Any:
        pair = None if left is None or right is None else _numbers(left, right)
        if pair is None:
            return None
        try:
            return operate(*pair)
        except ZeroDivisionError:
            raise FilterError("a division by zero") from None
        except OverflowError:
            raise FilterError("a number too large") from None

    return operator


def _divide(left: Any, right: Any) -> Any:
    if isinstance(left, float):
        return left / right if right else (math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left))
    if isinstance(left, int) and isinstance(right, int):
        quotient = abs(left) // abs(right)  # C# truncates towards zero
        return quotient if (left < 0) == (right < 0) else -quotient
    return left / right


def _remainder(left: Any, right: Any) -> Any:
    if isinstance(left, float):
        return math.fmod(left, right) if right and math.isfinite(left) else math.nan
    if isinstance(left, int) and isinstance(right, int):
        return left - right * _divide(left, right)
    return left % right


def add(left: Any, right: Any) -> Any:
    """Numbers are added, texts joined."""
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return _add(left, right)


_add = _arithmetic(lambda left, right: left + right)
ADDITIVE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": add,
    "-": _arithmetic(lambda left, right: left - right),
}
MULTIPLICATIVE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "*": _arithmetic(lambda left, right: left * right),
    "/": _arithmetic(_divide),
    "%": _arithmetic(_remainder),
}


def like(value: Any, pattern: Any, escape: Any) -> bool | None:
    """The operator LIKE: % any text, _ any one character."""
    if not isinstance(value, str) or not isinstance(pattern, str):
        return None
    if escape is not None and (not isinstance(escape, str) or len(escape) != 1):
        raise FilterError(f"ESCAPE takes a text of one character, got {escape!r}")
    return _matches(value, *_segments(pattern, escape))


def _matches(
    value: str, first: re.Pattern[str], middle: tuple[re.Pattern[str], ...], last: re.Pattern[str] | None
) -> bool:
    """What stands between two % is looked for from the left once: no pattern makes this slow."""
    start = first.match(value)
    if start is None:
        return False
    if last is None:
        return start.end() == len(value)
    place = start.end()
    for segment in middle:
        found = segment.search(value, place)
        if found is None:
            return False
        place = found.end()
    return last.search(value, place) is not None


@lru_cache(maxsize=1024)
def _segments(
    pattern: str, escape: str | None
) -> tuple[re.Pattern[str], tuple[re.Pattern[str], ...], re.Pattern[str] | None]:
    """What stands before the first %, between two, and after the last; no last one: there is no %."""
    parts, plain = [""], False
    for character in pattern:
        if plain or character not in ("%", "_", escape):
            parts[-1] += re.escape(character)
            plain = False
        elif character == escape:
            plain = True
        elif character == "_":
            parts[-1] += "."
        else:
            parts.append("")
    first, *middle = (re.compile(part, re.DOTALL) for part in parts)
    if not middle:
        return first, (), None
    return first, tuple(middle[:-1]), re.compile(f"(?:{parts[-1]})\\Z", re.DOTALL)
