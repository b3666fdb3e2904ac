//! The gateway as a client sees it, before fake services that answer what a test tells them to.

mod capital;
mod confirm;
mod description;
mod edge;
mod fakes;
mod golden;
mod hostile;
mod judge;
mod money;
mod notify;
mod rights;
mod settlement;
mod stack;
mod wallet;
