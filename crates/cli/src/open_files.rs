//! Raises the limit of open files of this process.
//!
//! Most systems start programs with a soft limit of 1,024, for the sake of those that use `select`,
//! and let each program raise it to the hard limit. At the limit, a server cannot even accept a
//! connection to refuse it, so the number of connections is limited accordingly.

use haul_server::Limits;

/// Raises the soft limit to the hard one, and limits the connections of the endpoint accordingly.
pub(crate) fn make_room(limits: &mut Limits) {
    let Some(files) = raise() else { return };
    let wanted = limits.connections;
    limits.fit_open_files(files);
    if limits.connections < wanted {
        tracing::warn!(
            connections = limits.connections,
            open_files = files,
            "serving fewer connections at once than usual: raise the hard limit of open files \
             (ulimit -Hn)"
        );
    }
}

/// Returns the soft limit, raised if the system allows it. `None` if there is no limit.
fn raise() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Some systems reject an unlimited soft limit; the limit then stays unchanged.
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}
