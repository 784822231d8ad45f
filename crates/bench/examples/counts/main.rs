//! Runs the cases whose instructions are counted: `cargo xtask counts` starts this program under
//! callgrind.
//!
//! Callgrind collects only while [`counted`] runs, and writes one file each time that it ends: the
//! n-th file has the instructions of the n-th case. Each case runs once before it is counted, so
//! that tables that are built at first use, and the first growth of the heap, do not count. All
//! inputs are fixed, and only one thread runs.
#![allow(clippy::print_stdout, reason = "its output is read by cargo xtask counts")]

mod cases;

use std::error::Error;

use cases::Case;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let folder = tempfile::tempdir()?;
    println!("cpu {}", features());
    for mut case in cases::all(folder.path())? {
        warm_and_counted(&mut case);
        println!("case {}", case.name);
    }
    Ok(())
}

fn warm_and_counted(case: &mut Case) {
    (case.run)();
    counted(&mut *case.run);
}

/// Runs one case. Callgrind knows this function by its name.
#[inline(never)]
fn counted(run: &mut dyn FnMut()) {
    run();
    // Not a tail call: the function has to end after the case.
    std::hint::black_box(());
}

/// Returns the features of the processor by which libraries choose their code, as callgrind
/// presents them.
fn features() -> String {
    #[cfg(target_arch = "x86_64")]
    let known = [
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("pclmulqdq", std::is_x86_feature_detected!("pclmulqdq")),
        ("sha", std::is_x86_feature_detected!("sha")),
        ("vpclmulqdq", std::is_x86_feature_detected!("vpclmulqdq")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let known: [(&str, bool); 0] = [];
    let present = known.into_iter().filter(|(_, present)| *present).map(|(name, _)| name);
    present.collect::<Vec<_>>().join(" ")
}
