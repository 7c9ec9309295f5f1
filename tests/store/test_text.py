"""Texts and payloads come back as they were given, whatever they hold."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dwserver.engine.model import Payload, RunInput
from dwserver.engine.transition import NewActivity, Transition
from dwserver.store.api import Store
from tests.store.reading import full_history, loaded
from tests.support.builders import (
    a_change,
    a_completion,
    a_failure,
    a_run,
    a_start_transition,
    a_task,
    a_worker,
    an_activity,
    an_event,
    an_id,
)

# No zero byte: PostgreSQL's text cannot hold it, and no client sends it.
TEXT = st.text(
    alphabet=st.characters(exclude_characters="\0", exclude_categories=("Cs",)),
    max_size=40,
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=TEXT)
async def test_any_text_is_kept(store: Store, text: str) -> None:
    document = {"value": text, f"key {text}": [text]}
    run = a_run(
        workflow_id=f"{an_id()}{text}",
        workflow_type=text,
        task_queue=text,
        compatibility=text,
        batch_first=1,
        batch_size=1,
    )
    activity = an_activity(run, step=1, activity_type=text, parallel=document)
    task = a_task(run, resume=document, last_error=text)
    failure = a_failure(run, message=text, exception_type=text)
    given = RunInput(
        arguments=Payload("json", text),
        memo=document,
        search_attributes=document,
        business_key=text,
    )
    new = NewActivity(activity, Payload(text, text))
    start = a_start_transition(
        run,
        input=given,
        new_tasks=(task,),
        new_activities=(new,),
        failures=(failure,),
        events=(an_event(1, payload=text.encode()),),
    )
    assert await store.commit(start)
    state = await loaded(store, run.id)
    assert state.run == run
    assert state.tasks == {task.id: task}
    assert state.activities == {1: activity}
    assert await store.failures_of_run(run.id, limit=1) == [failure]
    assert await store.run_input(run.id) == given
    assert await store.activity_arguments([activity.id]) == {activity.id: new.arguments}
    assert (await full_history(store, run.id))[0].payload == text.encode()
    instance = await store.find_instance(run.namespace, run.workflow_id)
    assert instance == start.new_instances[0]
    worker = a_worker(an_id("worker"), runtime=text, workflow_types=(text,))
    await store.put_worker(worker)
    assert await store.find_worker("default", worker.worker_id) == worker


@pytest.mark.parametrize("filling", ["A", "\N{GREEK CAPITAL LETTER OMEGA}"])
async def test_payloads_of_two_megabytes_are_kept(store: Store, filling: str) -> None:
    size = 2 * 1024 * 1024 // len(filling.encode())
    large = Payload("avro", filling * size)
    run = a_run()
    activity = NewActivity(an_activity(run, step=1), large)
    event = an_event(1, payload=b'"' + large.data.encode() + b'"')
    start = a_start_transition(
        run,
        input=RunInput(arguments=large),
        events=(event,),
        new_activities=(activity,),
    )
    assert await store.commit(start)
    completion = a_completion(run, large)
    assert await store.commit(Transition(changes=(completion,)))
    view = await store.find_run_view(run.namespace, run.id)
    assert view is not None
    assert (view.input.arguments, view.output) == (large, large)
    assert await store.activity_arguments([activity.activity.id]) == {
        activity.activity.id: large
    }
    assert (await full_history(store, run.id))[0].payload == event.payload


async def test_many_rows_in_one_transition_are_kept(store: Store) -> None:
    run = a_run(batch_first=1, batch_size=1000, last_step=1000)
    await store.commit(a_start_transition(run))
    activities = [an_activity(run, step=step) for step in range(1, 1001)]
    change = a_change(
        run,
        run_fields={"last_sequence": 1002},
        new_activities=tuple(NewActivity(a, None) for a in activities),
        new_tasks=tuple(a_task(run, activity_id=a.id) for a in activities),
        events=tuple(an_event(sequence) for sequence in range(3, 1003)),
    )
    assert await store.commit(Transition(changes=(change,)))
    state = await loaded(store, run.id)
    assert list(state.activities.values()) == activities
    assert len(state.tasks) == 1001
    assert len(await full_history(store, run.id)) == 1002
