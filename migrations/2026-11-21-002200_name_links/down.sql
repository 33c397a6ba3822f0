drop table brand_hosts;
alter table links
    drop constraint links_slug_check, drop constraint links_slug_key,
    drop column view_count, drop column android_url, drop column ios_url, drop column slug;
