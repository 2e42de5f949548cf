//! The driver on Linux: the kernel's sockets in a level-triggered epoll that this reactor owns.
//!
//! A message costs three system calls: one wait, one receive, one send. The reactor sleeps on the poll set itself;
//! while async futures of other crates run beside it, the set is [nested](nest) in async-io's instead.

mod alarm;
mod nest;
mod options;
mod poll_set;
mod resolve;
mod socket;
