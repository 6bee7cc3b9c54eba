from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from markupsafe import escape

from dashboards import reviews, workflow
from dashboards.auth.people import Role, new_person
from dashboards.figures import report
from tests.dashboards.site import PASSWORD, VIP, Story, form_token, sign_in, write
from wardwatch.alert import Verdict
from wardwatch.errors import Conflict, Forbidden, NotFound, RecordError

if TYPE_CHECKING:
    import httpx

    from dashboards.auth.people import Person
    from dashboards.console import Console
    from wardwatch.store import Store


def up(tenant: str = VIP.tenant, *, sampled: bool = True, number: int = 0) -> Story:
    """Return an alert that is, or is not, up for a second look once it is closed."""
    stories = (replace(VIP, tenant=tenant, group=f"{tenant} {number} {each}") for each in range(1000))
    return next(story for story in stories if reviews.is_sampled(story.id) is sampled)


@pytest.fixture
def lin(console: Console) -> Person:
    return console.people.get("lin")


@pytest.fixture
def wang(console: Console) -> Person:
    console.people.add(new_person("wang", PASSWORD, Role.ANALYST, []))
    return console.people.get("wang")


def close(store: Store, person: Person, story: Story, verdict: Verdict = Verdict.DUPLICATE) -> str:
    """Write an alert and close it; return the state that it is in then."""
    if story.id not in store.alerts.get(person.scope, [story.id]):
        write(store, story)
    state = workflow.state_of(workflow.read(store, person, story.id).doc)
    done = workflow.close(store, person, story.id, state, verdict, "seen")
    return workflow.state_of(done.alert.doc)


def offered(store: Store, person: Person, tenant: str = "") -> list[str]:
    return [one.doc["event"]["id"] for one in reviews.waiting(store, person, tenant, datetime.now(UTC))]


def test_one_alert_in_twenty_is_looked_at_again() -> None:
    """Of 20,000 ids a share of 1/20 is 1,000 with a standard deviation of 31: five of them either way."""
    ids = (replace(VIP, group=str(number)).id for number in range(20_000))
    assert abs(Counter(map(reviews.is_sampled, ids))[True] - 1000) < 5 * 31


def test_what_others_closed_is_offered_once_and_closed_anew_again(
    console: Console, store: Store, lin: Person, wang: Person
) -> None:
    story, other = up(), up(sampled=False)
    close(store, lin, other)
    state = close(store, lin, story)
    assert (offered(store, lin), offered(store, wang)) == ([], [story.id])
    reviews.review(store, wang, story.id, state, Verdict.DUPLICATE)
    assert offered(store, wang) == []
    doc = workflow.read(store, lin, story.id).doc
    workflow.reopen(store, lin, story.id, workflow.state_of(doc), console.clock(doc))
    close(store, lin, story)
    assert offered(store, wang) == [story.id]


def test_alerts_of_an_exercise_and_of_other_hospitals_are_not_offered(
    console: Console, store: Store, lin: Person, wang: Person
) -> None:
    exercise = up()
    state = close(store, lin, exercise, Verdict.EXERCISE)
    with pytest.raises(RecordError, match="not up for a second look"):
        reviews.review(store, wang, exercise.id, state, Verdict.DUPLICATE)
    theirs = up("renai")
    close(store, lin, theirs)
    assert offered(store, wang) == [theirs.id]
    assert (offered(store, wang, "renai"), offered(store, wang, VIP.tenant)) == ([theirs.id], [])
    console.people.change("wang", lambda one: replace(one, tenants=frozenset([VIP.tenant])))
    limited = console.people.get("wang")
    assert offered(store, limited) == []
    with pytest.raises(NotFound):
        reviews.review(store, limited, theirs.id, "", Verdict.DUPLICATE)


def test_a_second_look_is_anothers_and_another_verdict_needs_a_note(store: Store, lin: Person, wang: Person) -> None:
    story = up()
    state = close(store, lin, story)
    with pytest.raises(RecordError, match="somebody else looks"):
        reviews.review(store, lin, story.id, state, Verdict.DUPLICATE)
    with pytest.raises(RecordError, match="needs a note"):
        reviews.review(store, wang, story.id, state, Verdict.TRUE_POSITIVE)
    with pytest.raises(Conflict):
        reviews.review(store, wang, story.id, "another", Verdict.DUPLICATE)
    viewer = replace(wang, roles=frozenset({Role.VIEWER}))
    with pytest.raises(Forbidden):
        reviews.review(store, viewer, story.id, state, Verdict.DUPLICATE)
    reviews.review(store, wang, story.id, state, Verdict.TRUE_POSITIVE, "it was ransomware")
    with pytest.raises(Conflict):
        reviews.review(store, wang, story.id, state, Verdict.DUPLICATE)
    assert workflow.workflow_of(workflow.read(store, lin, story.id).doc)["verdict"] == "duplicate"


def test_an_alert_that_was_not_drawn_or_is_open_is_refused(store: Store, lin: Person, wang: Person) -> None:
    other, still_open = up(sampled=False), up()
    state = close(store, lin, other)
    with pytest.raises(RecordError, match="not up for a second look"):
        reviews.review(store, wang, other.id, state, Verdict.DUPLICATE)
    write(store, still_open)
    state = workflow.state_of(workflow.read(store, lin, still_open.id).doc)
    with pytest.raises(RecordError, match="not up for a second look"):
        reviews.review(store, wang, still_open.id, state, Verdict.DUPLICATE)


def test_what_was_closed_more_than_a_week_ago_is_not_offered(store: Store, lin: Person, wang: Person) -> None:
    close(store, lin, up())
    assert reviews.waiting(store, wang, "", datetime.now(UTC) + reviews.SINCE + timedelta(hours=1)) == []


def test_the_share_that_disagrees_stands_in_the_figures(store: Store, lin: Person, wang: Person) -> None:
    for number in range(4):
        story = up(number=number)
        state = close(store, lin, story)
        found = Verdict.BENIGN_POSITIVE if number == 0 else Verdict.DUPLICATE
        reviews.review(store, wang, story.id, state, found, "a scanner")
    told = report(store, lin.scope, "", 7, datetime.now(UTC), UTC).reviews
    assert told.model_dump() == {"looked_at": 4, "disagreed": 1, "share": 0.25}
    assert report(store, lin.scope, "renai", 7, datetime.now(UTC), UTC).reviews.share is None


def test_the_page_takes_a_second_look_and_the_history_says_it(
    client: httpx.Client, store: Store, lin: Person, wang: Person
) -> None:
    story = up()
    close(store, lin, story)
    sign_in(client, "wang")
    page = client.get("/reviews")
    assert str(escape(story.title["en"])) in page.text
    state = re.findall(r'name="state" value="([^"]+)"', page.text)[0]
    form = {"csrf": form_token(page.text), "state": state, "verdict": "true_positive", "note": "<i>no</i>"}
    assert client.post(f"/alerts/{story.id}/review", data=form).status_code == 303
    assert "Nothing is up for a second look" in client.get("/reviews").text
    history = client.get(f"/alerts/{story.id}/tab/history").text
    assert "Second look by wang: True positive" in history
    assert "&lt;i&gt;no&lt;/i&gt;" in history
    assert "<b>lin</b> closed it" in history
    assert client.get("/api/v1/reviews").json() == []
