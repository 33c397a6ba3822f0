-- What the schema before could not hold goes.
delete from webhook_sources where scheme <> 'GENERIC';
alter table webhook_sources
drop column last_event_at,
drop constraint webhook_sources_previous_check,
drop constraint webhook_sources_scheme_check,
add constraint webhook_sources_scheme_check check (scheme in ('GENERIC'));
