//! `ingress` and `clsact`.

use super::kind::Kind;
use crate::iproute2::args::Stop;

pub static INGRESS: Kind = Kind::new(
    "ingress",
    |args, _| {
        while let Some(word) = args.peek() {
            if word != "handle" {
                return Err(Stop::failed(format!("What is \"{word}\"?\nUsage: ... ingress\n")));
            }
            args.take();
            args.value()?;
        }
        Ok(None)
    },
    |out, _, _, _| out.text("---------------- "),
);

pub static CLSACT: Kind = Kind::new(
    "clsact",
    |args, _| match args.peek() {
        Some(word) => Err(Stop::failed(format!("What is \"{word}\"?\nUsage: ... clsact\n"))),
        None => Ok(None),
    },
    |_, _, _, _| {},
);
