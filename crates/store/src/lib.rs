//! A crash-safe object store on one machine's disk: parts, publish, sweep.
