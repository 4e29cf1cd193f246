//! Handles: small numbers that stand for a thing in a table.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The position in the table.
            #[inline]
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id!(/** A machine of the world. */ MachineId);
id!(/** A network namespace of one machine. */ NetnsId);
id!(/** A network device of one machine, in whatever namespace it is; not its ifindex. */ DevId);
id!(/** A neighbour entry of one machine. */ NeighId);
id!(/** A socket of one machine. */ SocketId);
id!(/** An open `/dev/net/tun` of one machine; not its file descriptor. */ TunFileId);
id!(/** A CPU of one machine. */ CpuId);
id!(/** A queueing discipline of one machine; not its handle. */ QdiscId);
id!(/** An action of filters of one machine; not its index. */ TcActionId);
id!(/** An skb of the world. */ SkbId);

impl QdiscId {
    /// `noop`, which every machine has once.
    pub const NOOP: QdiscId = QdiscId(0);
}
