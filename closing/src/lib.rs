//! Nothing but the test beside it, which cargo runs last of the workspace and which tells what the
//! run left out.
