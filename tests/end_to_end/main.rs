//! End to end: the real system, over the doors that people use.

mod agreement;
mod bad_input;
mod cancelled_calls;
mod cash_out;
mod demo;
mod doors;
mod golden;
mod matrix;
mod operations;
mod outcomes;
mod processes;
mod reconcile;
mod settings_table;
mod support;
mod totals;
mod under_load;
