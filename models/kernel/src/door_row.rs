//! The shape of a row of [`crate::door`], and what is made of the rows.

use crate::class::Class;

/// What is known of a function.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name in Linux 6.1.
    pub name: &'static str,
    /// The kernel file that it is in.
    pub file: &'static str,
    /// What it does, in a short sentence without a full stop.
    pub gloss: &'static str,
    /// What kind of work it is.
    pub class: Class,
    /// Where the compiler has put its code, if the function tracer cannot see it on a stock kernel, or not wherever it runs;
    /// otherwise empty.
    pub inlined: &'static str,
}

/// Makes the enums of doors and of functions out of the rows.
macro_rules! functions {
    (
        functions {
            $($file:literal {
                $($func:ident $(( $skb:ident : SkbId $(, $arg:ident : $type:ty)* ))? = $name:ident, $class:ident,
                    $gloss:literal $(, inlined: $inlined:literal)?;)*
            })*
        }
        continuations { $($more:ident ( $($more_arg:ident : $more_type:ty),* ),)* }
    ) => {
        /// The next function of a packet's way.
        #[derive(Clone, Copy, Debug)]
        #[allow(missing_docs)]
        pub enum Door {
            /// The packet's way ends here: it is in a queue, in a socket, or gone.
            End,
            $($($(
                #[doc = $gloss]
                $func { $skb: SkbId $(, $arg: $type)* },
            )?)*)*
            $($more { $($more_arg: $more_type),* },)*
        }

        /// A function of the kernel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Func {
            $($(
                #[doc = $gloss]
                $func,
            )*)*
        }

        impl Func {
            /// Whether it frees the packet, which did what it was for.
            pub fn is_end(self) -> bool {
                matches!(
                    self,
                    Func::ConsumeSkb
                        | Func::SkbConsumeUdp
                        | Func::KfreeSkbList
                        | Func::SkbQueuePurge
                        | Func::SkStreamKillQueues
                )
            }

            /// Whether it is called about a packet and returns; a door hands the packet on.
            pub fn is_call(self) -> bool {
                match self {
                    $($(Func::$func => concat!($(stringify!($skb))?).is_empty(),)*)*
                }
            }

            /// All functions.
            pub const ALL: &'static [Func] = &[$($(Func::$func,)*)*];
        }

        /// A row each.
        static FUNCTIONS: [Function; Func::ALL.len()] = [$($(
            Function {
                name: stringify!($name),
                file: $file,
                gloss: $gloss,
                class: Class::$class,
                inlined: concat!($($inlined)?),
            },
        )*)*];

        impl Door {
            /// The function behind the door, and the packet that passes; `None` where a function goes on that was
            /// entered before.
            #[inline]
            pub fn func(&self) -> Option<(Func, SkbId)> {
                match *self {
                    Door::End => None,
                    $(Door::$more { .. } => None,)*
                    $($($(Door::$func { $skb, .. } => Some((Func::$func, $skb)),)?)*)*
                }
            }
        }
    };
}

pub(crate) use functions;
