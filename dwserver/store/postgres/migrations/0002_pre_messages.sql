-- Messages and links of runs (spec/engine.md §1, §8, §9).

create table signals (
    id text collate "C" not null,
    command_id text not null,
    run_id text collate "C" not null,
    signal_name text not null,
    signal_wait_id text,
    status text not null,
    arguments_codec text,
    arguments bytea,
    step bigint,
    received_at bigint not null,
    applied_at bigint,
    closed_at bigint,
    constraint signals_pkey primary key (run_id, id),
    constraint signals_status check (status in ('received', 'applied', 'rejected'))
);

create table updates (
    id text collate "C" not null,
    command_id text not null,
    run_id text collate "C" not null,
    update_name text not null,
    status text not null,
    outcome text,
    request_id text,
    arguments_codec text,
    arguments bytea,
    result_codec text,
    result bytea,
    failure_id text,
    failure_message text,
    step bigint,
    accepted_at bigint not null,
    applied_at bigint,
    closed_at bigint,
    constraint updates_pkey primary key (run_id, id),
    constraint updates_status check (
        status in ('accepted', 'rejected', 'completed', 'failed')
    )
);

create table condition_waits (
    id text collate "C" not null,
    run_id text collate "C" not null,
    step bigint not null,
    kind text not null,
    status text not null,
    name text collate "C",
    condition_key text,
    fingerprint text,
    timer_step bigint,
    opened_at bigint not null,
    closed_at bigint,
    constraint condition_waits_pkey primary key (run_id, step),
    constraint condition_waits_kind check (kind in ('condition', 'signal')),
    constraint condition_waits_status check (
        status in ('open', 'satisfied', 'timed_out', 'closed')
    )
);

create table child_links (
    id text collate "C" not null,
    link_type text not null,
    namespace text collate "C" not null,
    parent_workflow_id text not null,
    parent_run_id text collate "C" not null,
    step bigint,
    child_workflow_id text not null,
    child_run_id text collate "C" not null,
    status text not null,
    parent_close_policy text,
    retry_policy bytea,
    parallel bytea,
    created_at bigint not null,
    closed_at bigint,
    constraint child_links_pkey primary key (parent_run_id, child_run_id),
    constraint child_links_type check (
        link_type in ('child_workflow', 'continue_as_new')
    ),
    constraint child_links_status check (status in (
        'scheduled', 'started', 'completed',
        'failed', 'cancelled', 'terminated', 'abandoned'
    )),
    constraint child_links_policy check (
        parent_close_policy in ('abandon', 'request_cancel', 'terminate')
    )
);

create table search_attribute_definitions (
    namespace text collate "C" not null,
    name text collate "C" not null,
    value_type text not null,
    created_at bigint not null,
    constraint search_attribute_definitions_pkey primary key (namespace, name)
);
