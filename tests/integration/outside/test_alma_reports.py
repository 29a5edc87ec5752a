"""Analytics reports: the client reads from the stand-in, through TLS, everything that can happen to a cursor."""

import re
from xml.sax.saxutils import quoteattr

import pytest

from core.clients.alma import Page, ReportFault, Threshold, TokenExpired
from core.clients.faults import Corrupt, Denied, InDoubt, Transient
from localcloud.faults.fault import Fault
from localcloud.outside.alma.data import Behaviour, Renamed
from tests.integration.outside.place import KEY, Place

PATH = "/shared/Größe & Co/Reports/Überfällig?"
COLUMNS = ["Barcode", "Ünïcode 資料", "Barcode", "Leer"]
ROWS = [[f"B{number:03d}", f"Titel {number} <ä&ß>", f"{number}", ""] for number in range(130)]


def put(place: Place, behaviour: Behaviour | None = None, rows: list[list[str]] = ROWS) -> None:
    place.library.put_report(PATH, COLUMNS, rows, behaviour or Behaviour())


def read(place: Place, limit: int = 50) -> list[Page]:
    alma, pages = place.alma(), list[Page]()
    while not pages or not pages[-1].finished:
        token, known = (pages[0].token, pages[0].columns) if pages else (None, ())
        pages.append(alma.report_page(path=PATH, limit=limit, token=token, known=known))
    assert alma.requests == len(pages)
    assert alma.remaining is not None
    return pages


def rows_of(pages: list[Page]) -> list[list[str]]:
    return [[value or "" for value in row[1:]] for page in pages for row in page.rows]


@pytest.mark.parametrize("headings", ["first", "each"])
def test_a_report_is_read_page_by_page(place: Place, headings: str) -> None:
    put(place, Behaviour(headings=headings))  # type: ignore[arg-type]
    pages = read(place)
    assert [len(page.rows) for page in pages] == [50, 50, 30]
    assert {page.columns for page in pages} == {("0", "Barcode", "Ünïcode 資料", "Barcode (2)", "Leer")}
    assert rows_of(pages) == ROWS
    assert pages[0].rows[0][4] is None
    assert [bool(page.token) for page in pages] == [True, False, False]
    assert [(one.first, one.rows, one.status) for one in place.journal()] == [
        (0, 50, 200),
        (50, 50, 200),
        (100, 30, 200),
    ]
    assert place.journal()[0].what == PATH


def test_a_report_that_fits_on_one_page_has_no_token(place: Place) -> None:
    put(place, rows=ROWS[:50])
    (page,) = read(place)
    assert (page.token, len(page.rows)) == (None, 50)


def test_no_rows(place: Place) -> None:
    put(place, rows=[])
    (page,) = read(place)
    assert (len(page.columns), page.rows, page.finished) == (5, [], True)


def test_an_edit_shows_in_the_next_report_and_not_in_one_that_is_being_read(place: Place) -> None:
    put(place)
    alma = place.alma()
    first = alma.report_page(path=PATH, limit=100)
    put(place, rows=[["new", "", "", ""]])
    assert len(alma.report_page(path=PATH, limit=100, token=first.token).rows) == 30
    assert rows_of(read(place)) == [["new", "", "", ""]]


@pytest.mark.parametrize("when", ["middle", "after"])
def test_the_cursor_moves_with_a_get_whose_answer_was_lost(place: Place, when: str) -> None:
    put(place)
    alma = place.alma()
    first = alma.report_page(path=PATH, limit=50)
    cut = Fault(kind="cut", service="alma", operation="GetReport", every=1, most=1, when=when)  # type: ignore[arg-type]
    with place.faults(cut), pytest.raises(InDoubt, match="no whole answer"):
        alma.report_page(path=PATH, limit=50, token=first.token)
    assert alma.requests == 2, "one try and no more"
    assert alma.report_page(path=PATH, limit=50, token=first.token).rows[0][1] == "B100"
    assert [(one.first, one.status) for one in place.journal()] == [(0, 200), (50, 200), (100, 200)]


def test_a_get_that_never_got_through_leaves_the_cursor(place: Place) -> None:
    put(place)
    alma = place.alma()
    first = alma.report_page(path=PATH, limit=50)
    with place.faults(Fault(kind="refuse", service="alma", every=1, most=1, status=503)), pytest.raises(Transient):
        alma.report_page(path=PATH, limit=50, token=first.token)
    assert alma.report_page(path=PATH, limit=50, token=first.token).rows[0][1] == "B050"
    assert [one.status for one in place.journal()] == [200, 0, 200]


def test_half_a_page_in_a_whole_answer(place: Place) -> None:
    put(place)
    fault = Fault(kind="corrupt", service="alma", operation="GetReport", every=1)
    with place.faults(fault), pytest.raises(Corrupt, match="cut off"):
        place.alma().report_page(path=PATH, limit=50)


def test_one_get_too_many(place: Place) -> None:
    put(place)
    pages = read(place)
    with pytest.raises(TokenExpired, match="500 420033 No more rows to fetch"):
        place.alma().report_page(path=PATH, limit=50, token=pages[0].token)


def test_tokens_expire(place: Place) -> None:
    put(place)
    first = place.alma().report_page(path=PATH, limit=50)
    place.clock.ahead_s = 31 * 60
    with pytest.raises(TokenExpired, match="expired"):
        place.alma().report_page(path=PATH, limit=50, token=first.token)
    assert first.token is not None
    with pytest.raises(TokenExpired) as caught:
        place.alma().report_page(path=PATH, limit=50, token="0" * 128)
    assert first.token[:20] not in str(caught.value)
    assert "0" * 20 not in str(caught.value)


def test_a_restart_forgets_cursors(place: Place) -> None:
    put(place)
    first = place.alma().report_page(path=PATH, limit=50)
    place.restart()
    with pytest.raises(TokenExpired):
        place.alma().report_page(path=PATH, limit=50, token=first.token)
    assert [one.n for one in place.journal()] == [1, 2]


def test_a_token_that_expires_on_the_third_page_once(place: Place) -> None:
    put(place, Behaviour(expire_at_page=3))
    with pytest.raises(TokenExpired):
        read(place)
    assert rows_of(read(place)) == ROWS


def test_a_page_that_repeats(place: Place) -> None:
    put(place, Behaviour(repeat_page=2))
    assert rows_of(read(place)) == ROWS[:100] + ROWS[50:]


def test_a_column_that_changes_its_name_in_the_middle(place: Place) -> None:
    put(place, Behaviour(rename=Renamed(page=2, column="Leer", to="Voll")))
    assert [page.columns[4] for page in read(place)] == ["Leer", "Voll", "Voll"]


@pytest.mark.parametrize("trick", ["doctype", "bomb", "external", "parameter", "undefined"])
def test_entity_tricks_are_refused_for_good(place: Place, trick: str) -> None:
    put(place, Behaviour(xml=trick, xml_page=2))  # type: ignore[arg-type]
    says = "undefined entity" if trick == "undefined" else "no DOCTYPE"
    with pytest.raises(ReportFault, match=f"report {re.escape(PATH)}: .*{says}"):
        read(place)


def test_what_analytics_does_not_give(place: Place) -> None:
    put(place, Behaviour(row_limit=75))
    assert rows_of(read(place)) == ROWS[:75]
    assert Behaviour().row_limit == 65_000


def test_filters(place: Place) -> None:
    put(place)
    ns = 'xmlns:sawx="com.siebel.analytics.web/expression/v1.1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'

    def filter_(op: str, *values: str, kind: str = "comparison") -> str:
        inner = "".join(f'<sawx:expr xsi:type="xsd:string">{value}</sawx:expr>' for value in values)
        column = '<sawx:expr xsi:type="sawx:sqlExpression">"Physical Items"."Barcode"</sawx:expr>'
        return f"<sawx:expr {ns} xsi:type={quoteattr(f'sawx:{kind}')} op={quoteattr(op)}>{column}{inner}</sawx:expr>"

    def found(text: str) -> list[str | None]:
        return [row[1] for row in place.alma().report_page(path=PATH, limit=25, filter=text).rows]

    assert found(filter_("equal", "B007")) == ["B007"]
    assert found(filter_("in", "B007", "B009", kind="list")) == ["B007", "B009"]
    both = filter_("greaterOrEqual", "B128") + filter_("notEqual", "B129")
    assert found(f'<f {ns}><sawx:expr xsi:type="sawx:logical" op="and">{both}</sawx:expr></f>') == ["B128"]
    for wrong in ("<a>", filter_("like", "x"), filter_("equal", "x").replace("Barcode", "Nothing"), "<!DOCTYPE a><a/>"):
        with pytest.raises(ReportFault, match="The filter is not valid"):
            found(wrong)


@pytest.mark.parametrize("path", ["/shared/None", "/shared/../../journal", "/", "/shared/a\\b"])
def test_no_such_report(place: Place, path: str) -> None:
    with pytest.raises(ReportFault, match="Path not found"):
        place.alma().report_page(path=path, limit=25)


@pytest.mark.parametrize("limit", [0, 24, 30, 1025, -25])
def test_limits_of_a_page(place: Place, limit: int) -> None:
    with pytest.raises(ReportFault, match="a multiple of 25"):
        place.alma().report_page(path=PATH, limit=limit)
    assert place.journal() == []


def test_a_wrong_key_is_told_nowhere(place: Place) -> None:
    put(place)
    with pytest.raises(Denied, match="403 UNAUTHORIZED") as caught:
        place.alma(key="wrong-" + KEY).report_page(path=PATH, limit=25)
    assert KEY not in str(caught.value)
    with pytest.raises(Denied, match="401 UNAUTHORIZED"):
        place.alma(key="").report_page(path=PATH, limit=25)
    assert KEY not in (place.alma_folder / "journal.jsonl").read_text()


def test_a_file_that_is_no_report(place: Place) -> None:
    put(place)
    file = next((place.alma_folder / "reports").rglob("*.csv"))
    file.write_text("A,B\n1,2,3\n")
    with pytest.raises(Transient, match="line 2 must have 2 cells as the first, got 3"):
        place.alma().report_page(path=PATH, limit=25)


def test_the_daily_threshold_ends_at_midnight_utc(place: Place) -> None:
    put(place)
    place.clock.ahead_s += 86_400 - place.clock() % 86_400 + 43_200  # tomorrow at noon
    place.limits(per_second=0, per_day=3)
    alma = place.alma()
    for left in (2, 1, 0):
        alma.report_page(path=PATH, limit=25)
        assert alma.remaining == left
    place.restart()
    with pytest.raises(Threshold, match="429 DAILY_THRESHOLD") as caught:
        place.alma().report_page(path=PATH, limit=25)
    assert caught.value.daily
    place.clock.ahead_s += 43_200
    assert alma.report_page(path=PATH, limit=25).rows
