-- What the schema before could not hold goes.
delete from webhook_sources where scheme not in ('GENERIC', 'STANDARD_WEBHOOKS');
alter table webhook_sources
drop constraint webhook_sources_schema_version_check,
drop column schema_version,
drop constraint webhook_sources_scheme_check,
add constraint webhook_sources_scheme_check check (scheme in ('GENERIC', 'STANDARD_WEBHOOKS'));
