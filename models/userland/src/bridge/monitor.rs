//! `bridge monitor fdb`: entries of forwarding databases, as the kernel tells of them.
//!
//! iproute2: bridge/monitor.c
//! Not modelled: messages about anything else.

use std::convert::Infallible;

use super::fdb::{message, print_row};
use super::{Bridge, not_modelled};
use crate::iproute2::args::{Args, Done, Stop, matches};
use crate::iproute2::monitor::Monitor;
use crate::iproute2::out::Out;
use crate::procfs::View;

impl Bridge<'_> {
    /// Prints messages until a signal ends the program.
    pub(super) async fn monitor(&mut self, words: &[String]) -> Done<i32> {
        self.chosen(Args::new(words))?;
        match self.listen().await {}
    }

    fn chosen(&self, mut args: Args) -> Done {
        let mut chosen = false;
        while let Some(word) = args.take() {
            match word {
                _ if matches(word, "file") => return Err(not_modelled("monitor file")),
                _ if matches(word, "fdb") => chosen = true,
                _ if ["link", "mdb", "vlan", "vni"].iter().any(|other| matches(word, other)) => {
                    return Err(not_modelled(&format!("monitor {word}")));
                }
                "all" => return Err(not_modelled("monitor all")),
                _ if matches(word, "help") => return Err(Stop::usage(include_str!("help/monitor.txt"))),
                _ => {
                    let text = format!("Argument \"{word}\" is unknown, try \"bridge monitor help\".\n");
                    return Err(Stop::usage(text));
                }
            }
        }
        match chosen {
            false => Err(not_modelled("monitor without `fdb`")),
            true if self.style.json => Err(not_modelled("-json monitor")),
            true => Ok(()),
        }
    }

    async fn listen(&mut self) -> Infallible {
        let monitor = Monitor::open(self.process, self.netns);
        loop {
            let event = monitor.next(self.process).await;
            let row = self.view(|view| message(&View { now: event.at, ..*view }, &event));
            let Some(row) = row else { continue };
            let mut out = Out::new(self.style);
            print_row(&mut out, &row, true, self.stats);
            let deleted = if event.deleted { "Deleted " } else { "" };
            self.process.print(format!("{}{deleted}{}", self.timestamp.of(event.at), out.finish()));
        }
    }
}
