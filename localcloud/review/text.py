"""A review as one Markdown comment: what can lose data first, then each stack. Bounded, as a comment's length is."""

import re
from collections import Counter
from html import escape
from itertools import groupby

from localcloud.review.base import Base
from localcloud.review.shapes import PackageChange, PropertyChange, ResourceChange, Risk, StackReview

MARK = "<!-- millrace review -->"
"""By this line a workflow finds its own comment again."""
LIMIT = 60_000  # characters; GitHub takes 65,536
PROPERTIES = 8  # shown of one resource
NAMES = 12  # files, outputs and the like shown of one list
_LOUD = ("delete", "replace", "unprotect")
WORDS = {"create": "create", "update": "update", "replace": "**REPLACE**", "delete": "**DELETE**"}


def comment(base: Base, reviews: list[StackReview]) -> str:
    """The comment; details are left out, and that is said, where it would grow too long."""
    whole = _comment(base, reviews, PROPERTIES)
    if len(whole) > LIMIT:
        whole = _comment(base, reviews, 0)
    if len(whole) <= LIMIT:
        return whole
    kept = whole[:LIMIT].rpartition("\n")[0]
    folds = kept.count("<details") - kept.count("</details>")
    return kept + "\n" + "</details>\n" * folds + "\n**Cut: too long for a comment.** All of it: `./millrace review`\n"


def _comment(base: Base, reviews: list[StackReview], limit: int) -> str:
    against = f"{code(base.ref)} ({code(base.commit[:8])})"
    quiet = [review for review in reviews if review.state == "same"]
    loud = [review for review in reviews if review.state != "same"]
    if not loud:
        names = ", ".join(review.stack for review in quiet) or "none"
        return f"{MARK}\n**Millrace: nothing changes** against {against} (stacks: {names}).\n"
    lines = [MARK, "### Millrace: what this changes", "", f"Compared with {against}, offline.", ""]
    lines += _risk_block(loud)
    lines += _overview(reviews)
    for review in loud:
        lines += _stack(review, limit)
    return "\n".join(lines).rstrip() + "\n"


# ---- data first


def _risk_block(reviews: list[StackReview]) -> list[str]:
    told: dict[tuple[str, ...], tuple[Risk, list[str]]] = {}
    for review in reviews:
        for risk in review.risks:
            # The same loss in several stacks is one line, unless protection differs.
            key = (risk.kind, risk.type, risk.name, risk.system, str(risk.protected), *risk.because)
            told.setdefault(key, (risk, []))[1].append(review.stack)
    if not told:
        return []
    lines = ["> [!CAUTION]", f"> **{_count(len(told), 'change')} can lose data**", ">"]
    worst_first = sorted(told.values(), key=lambda one: (_LOUD.index(one[0].kind), one[0].protected))
    lines += [f"> - {_risk(risk, stacks)}" for risk, stacks in worst_first]
    return [*lines, ""]


def _risk(risk: Risk, stacks: list[str]) -> str:
    what = f"{_short(risk.type)} {code(risk.name)} ({_where(risk.system, risk.component)}) in **{', '.join(stacks)}**"
    if risk.kind == "unprotect":
        return f"**UNPROTECT** {what}: a later change may take {risk.holds} along."
    cause = f", because of {_list(risk.because)}" if risk.because else ""
    inside = f" With it: {_list(risk.with_it)}." if risk.with_it else ""
    return f"**{risk.kind.upper()}** {what}{cause}: {risk.holds} would be lost.{inside} {_guard(risk)}"


def _guard(risk: Risk) -> str:
    if risk.protected:
        return "Protected: `pulumi up` refuses until a run of its own has taken `protect` off."
    if risk.retained:
        return "Kept in the cloud (`retainOnDelete`), but no longer managed."
    return "**Not protected: nothing stops `pulumi up`.**"


# ---- stacks


def _overview(reviews: list[StackReview]) -> list[str]:
    lines = ["| stack | create | update | replace | delete | packages | roles |", "|---|---|---|---|---|---|---|"]
    for review in reviews:
        if review.state in ("refused", "base_refused", "gone"):
            lines.append(f"| {review.stack} | {_STATES[review.state]} | | | | | |")
            continue
        kinds = Counter(change.kind for change in review.resources)
        loud = [f"**{kinds[kind]}**" if kinds[kind] else "0" for kind in ("replace", "delete")]
        roles = f"+{len(review.roles_added)} −{len(review.roles_removed)}"
        new = " (new)" if review.state == "new" else ""
        row = [review.stack + new, kinds["create"], kinds["update"], *loud, len(review.packages), roles]
        lines.append(f"| {' | '.join(map(str, row))} |")
    return [*lines, ""]


_STATES = {"refused": "**refused**", "base_refused": "not comparable", "gone": "settings file removed"}


def _stack(review: StackReview, limit: int) -> list[str]:
    # The local stack is for laptops: whoever reviews wants the clouds' first.
    fold = "<details>" if review.stack == "local" else "<details open>"
    lines = [fold, f"<summary><b>Stack {escape(review.stack)}</b></summary>", ""]
    if review.state == "refused":
        lines += ["**The preview is refused:** this program would not go up.", "", *_block(review.refused), ""]
    elif review.state == "base_refused":
        lines += ["The compared commit's own preview is refused; this one's passes.", "", *_block(review.refused), ""]
    elif review.state == "gone":
        lines += ["Its settings file is removed. What it deployed stays until `pulumi destroy`.", ""]
    for title, rows in (
        ("Settings", [f"- {_property(change)}" for change in review.settings]),
        ("Roles", _roles(review)),
        ("Packages", [line for change in review.packages for line in _package(change)]),
        ("Outputs", _outputs(review)),
    ):
        if rows:
            lines += [f"**{title}**", "", *rows, ""]
    lines += _resources(review.resources, limit)
    return [*lines, "</details>", ""]


def _roles(review: StackReview) -> list[str]:
    rows = [
        (f"- **added**: {code(who)} may {code(verb)} on {code(on)}", role) for who, verb, on, role in review.roles_added
    ]
    rows += [
        (f"- removed: {code(who)} may {code(verb)} on {code(on)}", role) for who, verb, on, role in review.roles_removed
    ]
    return [f"{text} ({code(role)})" if role else text for text, role in rows]


def _package(change: PackageChange) -> list[str]:
    if change.before is None or change.after is None:
        word = "new" if change.before is None else "**gone**"
        return [f"- {code(change.app)}: {word}, {code((change.after or change.before or '')[:12])}"]
    lines = [f"- {code(change.app)} is deployed anew: {code(change.before[:12])} → {code(change.after[:12])}"]
    if change.target:
        lines.append(f"  - {_property(change.target)}")
    for word, names in (("added", change.added), ("removed", change.removed), ("changed", change.changed)):
        if names:
            lines.append(f"  - {word}: {_list(names)}")
    return lines + [f"  - distribution {_property(one)}" for one in change.distributions]


def _outputs(review: StackReview) -> list[str]:
    rows = [f"- **removed**: {_list(review.outputs_removed)} (others may read it)"] if review.outputs_removed else []
    return rows + ([f"- added: {_list(review.outputs_added)}"] if review.outputs_added else [])


def _resources(changes: list[ResourceChange], limit: int) -> list[str]:
    lines: list[str] = []
    for system, of_system in groupby(changes, key=lambda change: change.system):
        lines += [f"**Resources of** {code(system)}", ""]
        for component, members in groupby(of_system, key=lambda change: change.component):
            lines.append(f"- {_component(component)}")
            for change in members:
                lines.append(f"  - {WORDS[change.kind]} {_short(change.type)} {code(change.name)}")
                lines += [f"    - {_property(one)}" for one in change.properties[:limit]]
                if limit and len(change.properties) > limit:
                    lines.append(f"    - and {len(change.properties) - limit} more")
        lines.append("")
    return lines


# ---- words


def code(text: str) -> str:
    """Text as Markdown code, whatever is inside: it can neither end the code nor its line nor its table cell."""
    flat = " ".join(text.split()).replace("|", "¦")
    fence = "`" * (max((len(run) for run in re.findall(r"`+", flat)), default=0) + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") or not flat else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def _property(change: PropertyChange) -> str:
    must = " **forces the replacement**" if change.replaces else ""
    if change.before is None:
        return f"{code(change.path)}: {code(change.after or '')} added{must}"
    if change.after is None:
        return f"{code(change.path)}: {code(change.before)} removed{must}"
    if change.before == change.after:
        return f"{code(change.path)}: {code(change.after)}, changed{must}"
    return f"{code(change.path)}: {code(change.before)} → {code(change.after)}{must}"


def _block(messages: list[str]) -> list[str]:
    text = "\n".join(messages)
    fence = "`" * max(3, max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    return [f"{fence}text", *text.splitlines(), fence]


def _list(names: list[str]) -> str:
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return ", ".join(code(name) for name in names[:NAMES]) + more


def _where(system: str, component: str) -> str:
    return f"{code(system)}, {_component(component)}" if component else code(system)


def _component(component: str) -> str:
    type_, _, name = component.partition(" ")
    return f"{type_} {code(name)}" if name else "itself"


def _short(type_: str) -> str:
    """`azure-native:storage:BlobContainer` → `storage BlobContainer`; `aws:sqs/queue:Queue` → `sqs Queue`."""
    *above, name = type_.split(":")
    family = above[-1].split("/")[0] if above else ""
    return name if family in ("", "dynamic") else f"{family} {name}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
