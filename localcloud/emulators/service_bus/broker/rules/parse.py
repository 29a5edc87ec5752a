"""Filters and actions are parsed once into functions of a message. Precedence as in SQL: OR, AND, NOT, comparison, +
-, * / %, sign.
"""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from localcloud.emulators.service_bus.broker.model import Envelope
from localcloud.emulators.service_bus.broker.rules import operators, properties
from localcloud.emulators.service_bus.broker.rules.sql import FilterError, Token, tokens

Evaluate = Callable[[Envelope], Any]
MAX_NESTING: Final = 40
INT64: Final = range(-(2**63), 2**63)


class Parser:
    """One expression; `parameters` are looked up without regard to case and to the @."""

    def __init__(self, expression: str, parameters: Mapping[str, Any]) -> None:
        self._tokens = tokens(expression)
        self._place = 0
        self._depth = 0
        self._parameters = {name.lstrip("@").casefold(): value for name, value in parameters.items()}

    # -- words

    @property
    def token(self) -> Token:
        """The next word."""
        return self._tokens[self._place]

    def accept(self, *texts: str) -> str | None:
        """Take the next word if it is one of these keywords or signs."""
        token = self.token
        if token.kind in ("keyword", "sign") and token.text in texts:
            self._place += 1
            return token.text
        return None

    def expect(self, text: str) -> None:
        """Take this word."""
        if self.accept(text) is None:
            raise self.fault(text)

    def take(self, kind: str, wanted: str) -> str:
        """Take the next word, which must be of this kind."""
        if self.token.kind != kind:
            raise self.fault(wanted)
        self._place += 1
        return self._tokens[self._place - 1].text

    def fault(self, wanted: str) -> FilterError:
        """What was expected where."""
        return FilterError(f"expected {wanted} at character {self.token.at}, got {self.token.text!r}")

    # -- grammar

    def condition(self) -> Evaluate:
        """A predicate: OR is the loosest."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise FilterError(f"an expression may be nested {MAX_NESTING} deep, got more at character {self.token.at}")
        parts = [self._conjunction()]
        while self.accept("OR"):
            parts.append(self._conjunction())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else _any(parts)

    def _conjunction(self) -> Evaluate:
        parts = [self._negation()]
        while self.accept("AND"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else _all(parts)

    def _negation(self) -> Evaluate:
        negative = False
        while self.accept("NOT"):
            negative = not negative
            if self.token.kind == "end":
                raise self.fault("a condition")
        part = self._comparison()
        return _not(part) if negative else part

    def _comparison(self) -> Evaluate:
        left = self.sum()
        sign = self.accept(*operators.COMPARISONS)
        if sign is not None:
            return _binary(operators.COMPARISONS[sign], left, self.sum())
        if self.accept("IS"):
            negative = self.accept("NOT") is not None
            self.expect("NULL")
            return lambda envelope: (left(envelope) is None) != negative
        negative = self.accept("NOT") is not None
        if self.accept("IN"):
            part = self._members(left)
        elif self.accept("LIKE"):
            part = self._like(left)
        elif negative:
            raise self.fault("IN or LIKE")
        else:
            return left
        return _not(part) if negative else part

    def _members(self, left: Evaluate) -> Evaluate:
        self.expect("(")
        members = [self.sum()]
        while self.accept(","):
            members.append(self.sum())
        self.expect(")")

        def among(envelope: Envelope) -> bool | None:
            value = left(envelope)
            if value is None:
                return None
            return any(operators.equal(value, member(envelope)) for member in members)

        return among

    def _like(self, left: Evaluate) -> Evaluate:
        pattern = self.sum()
        escape: Evaluate = self.sum() if self.accept("ESCAPE") else lambda _: None
        return lambda envelope: operators.like(left(envelope), pattern(envelope), escape(envelope))

    def sum(self) -> Evaluate:
        """An expression: + and - are its loosest operators."""
        return self._chain(self._product, operators.ADDITIVE)

    def _product(self) -> Evaluate:
        return self._chain(self._signed, operators.MULTIPLICATIVE)

    def _chain(self, operand: Callable[[], Evaluate], signs: Mapping[str, Callable[[Any, Any], Any]]) -> Evaluate:
        first = operand()
        rest = []
        while (sign := self.accept(*signs)) is not None:
            rest.append((signs[sign], operand()))
        if not rest:
            return first

        def chain(envelope: Envelope) -> Any:
            value = first(envelope)
            for operate, part in rest:
                value = operate(value, part(envelope))
            return value

        return chain

    def _signed(self) -> Evaluate:
        negative = False
        while (sign := self.accept("+", "-")) is not None:
            negative ^= sign == "-"
        part = self._primary()
        if not negative:
            return part
        minus = operators.ADDITIVE["-"]
        return lambda envelope: minus(0, part(envelope))

    def _primary(self) -> Evaluate:
        token = self.token
        if token.kind in ("number", "string", "parameter") or token.text in ("TRUE", "FALSE", "NULL"):
            value = self._constant()
            return lambda _: value
        if self.accept("("):
            inner = self.condition()
            self.expect(")")
            return inner
        if self.accept("EXISTS"):
            self.expect("(")
            read, _, _ = self.property()
            self.expect(")")
            return lambda envelope: read(envelope) is not None
        if token.kind == "name":
            return self._function() or self.property()[0]
        raise self.fault("a value, a property or (")

    def _constant(self) -> Any:
        token = self.token
        self._place += 1
        if token.kind == "string":
            return token.text
        if token.kind == "number":
            number = int(token.text) if token.text.isdigit() else float(token.text)
            if isinstance(number, int) and number not in INT64:
                raise FilterError(f"a whole number must fit into 64 bits, got {token.text} at character {token.at}")
            return number
        if token.kind == "parameter":
            name = token.text[1:].casefold()
            if name not in self._parameters:
                raise FilterError(f"parameter {token.text} at character {token.at} has no value")
            return self._parameters[name]
        return {"TRUE": True, "FALSE": False, "NULL": None}[token.text]

    def _function(self) -> Evaluate | None:
        name = self.token.text.lower()
        following = self._tokens[self._place + 1]
        if name not in ("newid", "property", "p") or following.kind != "sign" or following.text != "(":
            return None
        self._place += 2
        if name == "newid":
            self.expect(")")
            return lambda _: uuid.uuid4()
        named = self.sum()
        self.expect(")")

        def read(envelope: Envelope) -> Any:
            value = named(envelope)
            return properties.user(value)(envelope) if isinstance(value, str) else None

        return read

    def property(self) -> tuple[Evaluate, str, str]:
        """`[sys.|user.]name`: how to read it, its scope and its name."""
        name = self.take("name", "a property")
        if name.lower() in ("sys", "user") and self.accept("."):
            scope = name.lower()
            name = self.take("name", "a property's name")
            return (properties.system(name) if scope == "sys" else properties.user(name)), scope, name
        return properties.user(name), "user", name

    def end(self) -> None:
        """Nothing may follow."""
        if self.token.kind != "end":
            raise self.fault("an operator or the end")


def _binary(operate: Callable[[Any, Any], Any], left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda envelope: operate(left(envelope), right(envelope))


def _not(part: Evaluate) -> Evaluate:
    def negate(envelope: Envelope) -> bool | None:
        value = part(envelope)
        return None if value is None else not value

    return negate


def _all(parts: list[Evaluate]) -> Evaluate:
    def conjunction(envelope: Envelope) -> bool | None:
        result: bool | None = True
        for part in parts:
            value = part(envelope)
            if value is None:
                result = None
            elif not value:
                return False
        return result

    return conjunction


def _any(parts: list[Evaluate]) -> Evaluate:
    def disjunction(envelope: Envelope) -> bool | None:
        result: bool | None = False
        for part in parts:
            value = part(envelope)
            if value is None:
                result = None
            elif value:
                return True
        return result

    return disjunction


def parse_filter(expression: str, parameters: Mapping[str, Any]) -> Evaluate:
    """A function that gives True, False or None (unknown) for a message; `FilterError` says what is wrong where."""
    parser = Parser(expression, parameters)
    found = parser.condition()
    parser.end()
    return found
