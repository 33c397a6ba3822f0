drop table report_uplines;
drop table report_totals;
drop table report_sums;
drop table report_policies;
drop table report_spans;
drop table report_marks;
