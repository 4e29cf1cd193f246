//! What a configuration request and its refusal look like: the words of rtnetlink.

/// An error number of Linux, by its name (include/uapi/asm-generic/errno*.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Errno {
    /// Operation not permitted.
    EPERM = 1,
    /// No such file or directory.
    ENOENT = 2,
    /// No such process.
    ESRCH = 3,
    /// Input/output error.
    EIO = 5,
    /// Argument list too long.
    E2BIG = 7,
    /// Bad file descriptor.
    EBADF = 9,
    /// Resource temporarily unavailable.
    EAGAIN = 11,
    /// Cannot allocate memory.
    ENOMEM = 12,
    /// Permission denied.
    EACCES = 13,
    /// Device or resource busy.
    EBUSY = 16,
    /// File exists.
    EEXIST = 17,
    /// Invalid cross-device link.
    EXDEV = 18,
    /// No such device.
    ENODEV = 19,
    /// Not a directory.
    ENOTDIR = 20,
    /// Is a directory.
    EISDIR = 21,
    /// Invalid argument.
    EINVAL = 22,
    /// Too many links.
    EMLINK = 31,
    /// Broken pipe.
    EPIPE = 32,
    /// No space left on device.
    ENOSPC = 28,
    /// Numerical result out of range.
    ERANGE = 34,
    /// Directory not empty.
    ENOTEMPTY = 39,
    /// Too many levels of symbolic links.
    ELOOP = 40,
    /// No message of desired type.
    ENOMSG = 42,
    /// Protocol error.
    EPROTO = 71,
    /// Value too large for defined data type.
    EOVERFLOW = 75,
    /// Destination address required.
    EDESTADDRREQ = 89,
    /// File descriptor in bad state.
    EBADFD = 77,
    /// Message too long.
    EMSGSIZE = 90,
    /// Protocol not available.
    ENOPROTOOPT = 92,
    /// Protocol not supported.
    EPROTONOSUPPORT = 93,
    /// Operation not supported.
    EOPNOTSUPP = 95,
    /// Address family not supported by protocol.
    EAFNOSUPPORT = 97,
    /// Address already in use.
    EADDRINUSE = 98,
    /// Cannot assign requested address.
    EADDRNOTAVAIL = 99,
    /// Network is down.
    ENETDOWN = 100,
    /// Network is unreachable.
    ENETUNREACH = 101,
    /// Software caused connection abort.
    ECONNABORTED = 103,
    /// Connection reset by peer.
    ECONNRESET = 104,
    /// No buffer space available.
    ENOBUFS = 105,
    /// Transport endpoint is already connected.
    EISCONN = 106,
    /// Transport endpoint is not connected.
    ENOTCONN = 107,
    /// Connection timed out.
    ETIMEDOUT = 110,
    /// Connection refused.
    ECONNREFUSED = 111,
    /// Host is down.
    EHOSTDOWN = 112,
    /// No route to host.
    EHOSTUNREACH = 113,
    /// Operation already in progress.
    EALREADY = 114,
    /// Operation now in progress.
    EINPROGRESS = 115,
    /// Not supported, by a number that only the kernel knows: 524, which has no room here.
    ENOTSUPP = u8::MAX,
}

impl Errno {
    /// The number, positive.
    pub const fn number(self) -> i32 {
        match self {
            Errno::ENOTSUPP => 524,
            _ => self as i32,
        }
    }

    /// The text of strerror(3) in glibc's C locale.
    pub const fn strerror(self) -> &'static str {
        match self {
            Errno::EPERM => "Operation not permitted",
            Errno::ENOENT => "No such file or directory",
            Errno::ESRCH => "No such process",
            Errno::EIO => "Input/output error",
            Errno::E2BIG => "Argument list too long",
            Errno::EBADF => "Bad file descriptor",
            Errno::EAGAIN => "Resource temporarily unavailable",
            Errno::ENOMEM => "Cannot allocate memory",
            Errno::EACCES => "Permission denied",
            Errno::EBUSY => "Device or resource busy",
            Errno::EEXIST => "File exists",
            Errno::EXDEV => "Invalid cross-device link",
            Errno::ENODEV => "No such device",
            Errno::ENOTDIR => "Not a directory",
            Errno::EISDIR => "Is a directory",
            Errno::EINVAL => "Invalid argument",
            Errno::EMLINK => "Too many links",
            Errno::EPIPE => "Broken pipe",
            Errno::ENOSPC => "No space left on device",
            Errno::ERANGE => "Numerical result out of range",
            Errno::ENOTEMPTY => "Directory not empty",
            Errno::ELOOP => "Too many levels of symbolic links",
            Errno::ENOMSG => "No message of desired type",
            Errno::EPROTO => "Protocol error",
            Errno::EOVERFLOW => "Value too large for defined data type",
            Errno::EBADFD => "File descriptor in bad state",
            Errno::EDESTADDRREQ => "Destination address required",
            Errno::EMSGSIZE => "Message too long",
            Errno::ENOPROTOOPT => "Protocol not available",
            Errno::EPROTONOSUPPORT => "Protocol not supported",
            Errno::EOPNOTSUPP => "Operation not supported",
            Errno::EAFNOSUPPORT => "Address family not supported by protocol",
            Errno::EADDRINUSE => "Address already in use",
            Errno::EADDRNOTAVAIL => "Cannot assign requested address",
            Errno::ENETDOWN => "Network is down",
            Errno::ENETUNREACH => "Network is unreachable",
            Errno::ECONNABORTED => "Software caused connection abort",
            Errno::ECONNRESET => "Connection reset by peer",
            Errno::ENOBUFS => "No buffer space available",
            Errno::EISCONN => "Transport endpoint is already connected",
            Errno::ENOTCONN => "Transport endpoint is not connected",
            Errno::ETIMEDOUT => "Connection timed out",
            Errno::ECONNREFUSED => "Connection refused",
            Errno::EHOSTDOWN => "Host is down",
            Errno::EHOSTUNREACH => "No route to host",
            Errno::EALREADY => "Operation already in progress",
            Errno::EINPROGRESS => "Operation now in progress",
            Errno::ENOTSUPP => "Unknown error 524",
        }
    }
}

/// A refused request: the error number and, when the kernel says more, its extended acknowledgement text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NlError {
    /// The error number of the NLMSG_ERROR answer.
    pub errno: Errno,
    /// NLMSGERR_ATTR_MSG, without a final full stop; `ip` prints `Error: {extack}.`.
    pub extack: Option<&'static str>,
    /// What Linux can do of the request and this model cannot yet; it is the model that refuses, not the kernel.
    pub not_modelled: Option<&'static str>,
}

impl NlError {
    /// An error number with a text.
    pub const fn with(errno: Errno, extack: &'static str) -> Self {
        NlError { extack: Some(extack), ..NlError::new(errno) }
    }

    /// What Linux can do and this model cannot yet.
    pub const fn not_modelled(what: &'static str) -> Self {
        NlError { not_modelled: Some(what), ..NlError::new(Errno::EOPNOTSUPP) }
    }

    const fn new(errno: Errno) -> Self {
        NlError { errno, extack: None, not_modelled: None }
    }
}

impl From<Errno> for NlError {
    fn from(errno: Errno) -> Self {
        NlError::new(errno)
    }
}

/// `NLM_F_REPLACE`: an existing entry is overwritten.
pub const NLM_F_REPLACE: u16 = 0x100;
/// `NLM_F_EXCL`: an existing entry is an error.
pub const NLM_F_EXCL: u16 = 0x200;
/// `NLM_F_CREATE`: a missing entry is made.
pub const NLM_F_CREATE: u16 = 0x400;
/// `NLM_F_APPEND`: the entry goes to the end of its list.
pub const NLM_F_APPEND: u16 = 0x800;
