//! `cargo xtask plot`: draws the plots of the documentation from the simulations of the engine.
//!
//! The simulations are tests of the engine, which also compare the plots with them: the plots are
//! written by running those tests with `HAUL_PLOT` set.

use anyhow::Result;

use crate::cargo::{cargo, succeed};

const TEST: &str = "pace::adaptive::plot::the_plot_in_the_docs_shows_this_controller";

pub(crate) fn plot() -> Result<()> {
    let words = ["test", "--workspace", "--lib", "--locked", "--", "--exact", TEST];
    succeed(cargo().args(words).env("HAUL_PLOT", "1"))
}
