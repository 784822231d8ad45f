//! Determines the profile of a store over the network: its name, and what an earlier probe found.

use haul::S3Store;
use haul::remote::{StoreKind, UnknownStoreKind};

use crate::args::StoreArgs;
use crate::config;
use crate::failure::Usage;
use crate::output::Mode;
use crate::private::shell_quoted;
use crate::state_dir::findings_cache;

/// Returns the profile that the flag, the environment or the file names.
pub(super) fn named(args: &StoreArgs) -> Result<Option<StoreKind>, Usage> {
    if args.store_profile.is_some() {
        return Ok(args.store_profile);
    }
    let Some((origin, name)) = config::store_profile(args) else { return Ok(None) };
    name.parse().map(Some).map_err(|error: UnknownStoreKind| {
        Usage::new(format!("{origin}: {error}"), "correct the name, or remove it")
    })
}

/// Refines the profile by the findings of an earlier probe. Unusable findings are reported and
/// ignored, because they only save requests.
pub(super) fn refine(store: &S3Store, mode: Mode) {
    let Some(cache) = findings_cache() else { return };
    match cache.read(&store.location().store_name()) {
        Ok(Some(recorded)) => {
            tracing::info!("an earlier probe of the store, of {}", recorded.found_at);
            store.refine_profile(recorded.findings);
        }
        Ok(None) => {}
        Err(error) => {
            let path = shell_quoted(&error.path.to_string_lossy());
            mode.warn(&error.to_string(), &format!("rm -r {path}"));
        }
    }
}
