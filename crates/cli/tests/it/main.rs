//! The whole program, against real servers and real clients.
