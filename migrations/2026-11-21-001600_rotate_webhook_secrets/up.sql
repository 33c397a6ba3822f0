-- A second scheme, and what one must know of a source to find the secret that wants rotating. The moment of the last event is kept
-- to the minute, here and not in the log: the log has no index by source, and one more would cost every insert.
alter table webhook_sources
drop constraint webhook_sources_scheme_check,
add constraint webhook_sources_scheme_check check (scheme in ('GENERIC', 'STANDARD_WEBHOOKS')),
add constraint webhook_sources_previous_check check (
    (previous_secret_sealed is null) = (previous_expires_at is null)
),
add column last_event_at timestamptz;
