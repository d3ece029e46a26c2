//! Addresses and networks.

use std::{
    any::Any,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use cel::{
    Env, ExecutionError,
    common::{
        types::{CelInt, STRING_TYPE, Type},
        value::{CowVal, StaticVal, Val},
    },
};

use super::{Arguments, Result, arg, boolean, global, member, string, text};

static IP: Type = Type::new_unspecified_type("net.IP");
static CIDR: Type = Type::new_unspecified_type("net.CIDR");

#[derive(Clone, Copy, Debug, PartialEq)]
struct Ip(IpAddr);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Cidr {
    address: IpAddr,
    prefix: u8,
}

macro_rules! value {
    ($name:ty, $type:expr) => {
        impl Val for $name {
            fn get_type(&self) -> &Type {
                &$type
            }
            fn cel_type() -> &'static Type {
                &$type
            }
            fn equals(&self, other: &dyn Val) -> bool {
                other.downcast_ref::<$name>() == Some(self)
            }
            fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
                Box::new(*self)
            }
            fn as_any(&self) -> Option<&dyn Any> {
                Some(self)
            }
        }
        impl StaticVal for $name {}
    };
}
value!(Ip, IP);
value!(Cidr, CIDR);

pub(super) fn add(env: &mut Env) {
    let ip = || IP.to_owned();
    let cidr = || CIDR.to_owned();
    global(env, "ip", vec![STRING_TYPE], |args| Ok(CowVal::owned(address(text(&args, 0)?)?)));
    global(env, "isIP", vec![STRING_TYPE], |args| boolean(address(text(&args, 0)?).is_ok()));
    global(env, "ip.isCanonical", vec![STRING_TYPE], |args| {
        let written = text(&args, 0)?;
        boolean(address(written)?.0.to_string() == written)
    });
    global(env, "string", vec![ip()], |args| string(arg::<Ip>(&args, 0)?.0.to_string()));
    member(env, "family", ip(), vec![], |args| {
        Ok(CowVal::owned(CelInt::from(if arg::<Ip>(&args, 0)?.0.is_ipv4() { 4 } else { 6 })))
    });
    member(env, "isUnspecified", ip(), vec![], |args| boolean(arg::<Ip>(&args, 0)?.0.is_unspecified()));
    member(env, "isLoopback", ip(), vec![], |args| boolean(arg::<Ip>(&args, 0)?.0.is_loopback()));
    member(env, "isLinkLocalMulticast", ip(), vec![], |args| {
        boolean(link_local_multicast(arg::<Ip>(&args, 0)?.0))
    });
    member(env, "isLinkLocalUnicast", ip(), vec![], |args| {
        boolean(link_local_unicast(arg::<Ip>(&args, 0)?.0))
    });
    member(env, "isGlobalUnicast", ip(), vec![], |args| {
        // Go's meaning: private addresses are global unicast.
        let ip = arg::<Ip>(&args, 0)?.0;
        let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        let special = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || link_local_unicast(ip);
        boolean(!broadcast && !special)
    });
    global(env, "cidr", vec![STRING_TYPE], |args| Ok(CowVal::owned(network(text(&args, 0)?)?)));
    global(env, "isCIDR", vec![STRING_TYPE], |args| boolean(network(text(&args, 0)?).is_ok()));
    global(env, "string", vec![cidr()], |args| {
        let Cidr { address, prefix } = arg::<Cidr>(&args, 0)?;
        string(format!("{address}/{prefix}"))
    });
    member(env, "containsIP", cidr(), vec![STRING_TYPE], |args| {
        boolean(arg::<Cidr>(&args, 0)?.holds(address(text(&args, 1)?)?.0))
    });
    member(env, "containsIP", cidr(), vec![ip()], |args| {
        boolean(arg::<Cidr>(&args, 0)?.holds(arg::<Ip>(&args, 1)?.0))
    });
    member(env, "containsCIDR", cidr(), vec![STRING_TYPE], |args| {
        boolean(arg::<Cidr>(&args, 0)?.encloses(network(text(&args, 1)?)?))
    });
    member(env, "containsCIDR", cidr(), vec![cidr()], |args| {
        boolean(arg::<Cidr>(&args, 0)?.encloses(*arg::<Cidr>(&args, 1)?))
    });
    member(env, "ip", cidr(), vec![], |args| Ok(CowVal::owned(Ip(arg::<Cidr>(&args, 0)?.address))));
    member(env, "masked", cidr(), vec![], |args| Ok(CowVal::owned(arg::<Cidr>(&args, 0)?.masked())));
    member(env, "prefixLength", cidr(), vec![], |args: Arguments<'_, '_>| -> Result<'_, '_> {
        Ok(CowVal::owned(CelInt::from(i64::from(arg::<Cidr>(&args, 0)?.prefix))))
    });
}

fn address(text: &str) -> std::result::Result<Ip, ExecutionError> {
    let fault = |why: &str| ExecutionError::function_error("ip", format!("'{text}' {why}"));
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => {
            Err(fault("is an IPv4-mapped IPv6 address, which is not allowed"))
        }
        Ok(ip) => Ok(Ip(ip)),
        Err(_) => Err(fault("is no IP address")),
    }
}

fn network(text: &str) -> std::result::Result<Cidr, ExecutionError> {
    let fault = || ExecutionError::function_error("cidr", format!("'{text}' is no network"));
    let (head, prefix) = text.split_once('/').ok_or_else(fault)?;
    let address = address(head)?.0;
    // No sign, no leading zero.
    let prefix = prefix.parse::<u8>().ok().filter(|p| p.to_string() == prefix).ok_or_else(fault)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    if prefix > most {
        return Err(fault());
    }
    Ok(Cidr { address, prefix })
}

fn link_local_multicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.octets()[..3] == [224, 0, 0],
        IpAddr::V6(v6) => v6.segments()[0] & 0xff0f == 0xff02,
    }
}

fn link_local_unicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

impl Cidr {
    fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
            }
        };
        Self { address, ..self }
    }

    fn holds(self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.address.is_ipv4()
            && Self { address: ip, ..self }.masked().address == self.masked().address
    }

    fn encloses(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.holds(other.address)
    }
}
