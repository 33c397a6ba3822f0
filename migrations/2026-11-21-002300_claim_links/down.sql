drop table link_visits;
alter table links drop column redeemed_at, drop column is_single_use;
alter table brand_settings
    drop column is_probabilistic, drop column android_fingerprints, drop column android_package, drop column ios_store_url,
    drop column ios_app_ids;
