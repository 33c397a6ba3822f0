drop table fraud_alerts;
drop table fraud_assessments;
