//! `glassnet calibrate`: what the kernel's work costs on this machine, as a profile.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use glassnet_kernel::cost::Profile;
use glassnet_scenarios::calibrate::Calibration;
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::lesson::profile;
use glassnet_scenarios::output::write_whole;

use super::{Status, could_not};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The profile to write
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The profile to compare with: a shipped one, or a file
    #[arg(long, value_name = "NAME|FILE.csv", default_value = "server")]
    profile: String,
}

const EXAMPLES: &str = "\
Examples:
  glassnet calibrate                   how well the shipped profile predicts this machine
  glassnet calibrate -o this.csv       and a profile of its own, for `profile: this.csv` in a topology

Needs root. Chains of bridges and routers are built in namespaces of their own, and packets sent through them on one CPU, which
takes about a minute. The shortest time counts, so that a busy machine gives nearly the same numbers. Columns: ns, and how many bridge
hops take as long; as measured, by the profile that is compared, and by the one that was made of the rows that are not \"predicted\".
The profile that was made must be right about those within 50 %, else the status is 1.";

/// How far a prediction may be off, as a share. On a machine that is used by nobody else it is a tenth.
const MOST: f64 = 0.5;

pub(super) fn main(args: Args) -> io::Result<Status> {
    let compared = match profile(&args.profile, Path::new("")) {
        Ok(profile) => profile,
        Err([message, help]) => return Ok(could_not(format_args!("{message}: {help}"))),
    };
    let made = match measured(&compared) {
        Ok(made) => made,
        Err(error) => return Ok(could_not(error)),
    };
    io::stdout().write_all(made.table(&args.profile).as_bytes())?;
    if let Some(path) = &args.output {
        write_whole(path, made.text.as_bytes())?;
    }
    for (what, why) in &made.failed {
        eprintln!("glassnet: not measured: {what}: {}", why.trim_end());
    }
    if let Some((what, error)) = made.worst().filter(|(_, error)| *error > MOST) {
        eprintln!("glassnet: {what} is predicted {:.0} % off: the machine is too busy", error * 100.0);
        return Ok(Status::Unexpected);
    }
    Ok(if made.failed.is_empty() { Status::Expected } else { Status::Warned })
}

#[cfg(target_os = "linux")]
fn measured(compared: &Profile) -> Result<Calibration, BackendError> {
    use glassnet_scenarios::calibrate::{Bench, Real, STEPS, calibrate};
    use glassnet_scenarios::simulator::Counted;

    use super::progress;
    use crate::backends::host::{Host, bench, described};

    /// How often each network is measured in a pass.
    const ROUNDS: usize = 40;
    let host = Host::of_this_program()?;
    // What is missing here is missing for every experiment.
    drop(bench(&host)?);
    let bar = progress(STEPS);
    let real = Real { start: &|| bench(&host), described: &described(), rounds: ROUNDS };
    let made = calibrate(
        &real,
        (&|profile: &Profile| Ok(Box::new(Counted::new(profile)) as Box<dyn Bench>), compared),
        &mut |what| {
            bar.set_message(what.to_owned());
            bar.inc(1);
        },
    );
    bar.finish_and_clear();
    made
}

#[cfg(not(target_os = "linux"))]
fn measured(_: &Profile) -> Result<Calibration, BackendError> {
    Err(BackendError::Missing(vec!["Linux: calibrate measures the running kernel".to_owned()]))
}
