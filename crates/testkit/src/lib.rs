//! For our tests only: real servers, a chaos proxy, generators.
