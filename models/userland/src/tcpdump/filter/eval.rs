//! Compiled filters: tests of packet bytes, and their evaluation.

/// Base of a load's offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Offset in the frame, bytes.
    Frame(u32),
    /// End of the IPv4 header at this offset in the frame.
    Transport(u32),
}

/// 32-bit arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
    /// `<<`
    Left,
    /// `>>`
    Right,
}

/// Comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `<`
    Less,
    /// `<=`
    AtMost,
}

/// A number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number {
    /// A constant.
    Constant(u32),
    /// `len`: the length on the wire, in bytes.
    Length,
    /// 1 for a sent packet, 0 for a received one.
    Outgoing,
    /// The VLAN tag beside the packet.
    Tag,
    /// `size` bytes of the packet in network order.
    Load(Base, Box<Number>, u32),
    /// The result of arithmetic.
    Binary(Operator, Box<Number>, Box<Number>),
}

/// A test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Always this.
    Always(bool),
    /// The opposite.
    Not(Box<Test>),
    /// Both, in order.
    And(Box<Test>, Box<Test>),
    /// Either, in order.
    Or(Box<Test>, Box<Test>),
    /// A comparison.
    Compare(Number, Relation, Number),
}

/// Input of a filter.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// The bytes from the link-layer header on.
    pub data: &'a [u8],
    /// Length on the wire, in bytes.
    pub length: usize,
    /// Sent by this host.
    pub outgoing: bool,
    /// The VLAN tag beside it, without its Ethertype.
    pub tag: Option<u16>,
}

/// Load beyond the packet, or division by zero: BPF rejects the packet.
struct Reject;

impl Test {
    /// The packet passes.
    pub fn matches(&self, packet: Packet) -> bool {
        self.evaluate(packet).unwrap_or(false)
    }

    fn evaluate(&self, packet: Packet) -> Result<bool, Reject> {
        Ok(match self {
            Test::Always(value) => *value,
            Test::Not(test) => !test.evaluate(packet)?,
            Test::And(a, b) => a.evaluate(packet)? && b.evaluate(packet)?,
            Test::Or(a, b) => a.evaluate(packet)? || b.evaluate(packet)?,
            Test::Compare(a, relation, b) => {
                let (a, b) = (a.evaluate(packet)?, b.evaluate(packet)?);
                match relation {
                    Relation::Equal => a == b,
                    Relation::Unequal => a != b,
                    Relation::Greater => a > b,
                    Relation::AtLeast => a >= b,
                    Relation::Less => a < b,
                    Relation::AtMost => a <= b,
                }
            }
        })
    }
}

impl Number {
    fn evaluate(&self, packet: Packet) -> Result<u32, Reject> {
        match self {
            Number::Constant(value) => Ok(*value),
            Number::Length => Ok(packet.length as u32),
            Number::Outgoing => Ok(u32::from(packet.outgoing)),
            Number::Tag => packet.tag.map(u32::from).ok_or(Reject),
            Number::Load(base, offset, size) => load(packet, *base, offset.evaluate(packet)?, *size),
            Number::Binary(operator, a, b) => operator.apply(a.evaluate(packet)?, b.evaluate(packet)?),
        }
    }
}

fn load(packet: Packet, base: Base, offset: u32, size: u32) -> Result<u32, Reject> {
    let start = match base {
        Base::Frame(at) => at,
        Base::Transport(network) => {
            let first = packet.data.get(network as usize).ok_or(Reject)?;
            network + u32::from(first & 0xf) * 4
        }
    };
    let at = start.checked_add(offset).ok_or(Reject)? as usize;
    let bytes = packet.data.get(at..at + size as usize).ok_or(Reject)?;
    Ok(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

impl Operator {
    fn apply(self, a: u32, b: u32) -> Result<u32, Reject> {
        Ok(match self {
            Operator::Add => a.wrapping_add(b),
            Operator::Subtract => a.wrapping_sub(b),
            Operator::Multiply => a.wrapping_mul(b),
            Operator::Divide => a.checked_div(b).ok_or(Reject)?,
            Operator::Modulo => a.checked_rem(b).ok_or(Reject)?,
            Operator::And => a & b,
            Operator::Or => a | b,
            Operator::Xor => a ^ b,
            Operator::Left => a.checked_shl(b).unwrap_or(0),
            Operator::Right => a.checked_shr(b).unwrap_or(0),
        })
    }
}
