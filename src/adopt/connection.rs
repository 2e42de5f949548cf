//! A stream that is connected already, as a connection.

use crate::{
    address::Address,
    error::AdoptError,
    failure::Failure,
    protocol::{
        Factory, LayerOf, Transport, build,
        transport::Connection,
        wire::{Owner, Wire},
    },
    reactor::{
        core::Core,
        driver::{Adopted, Family},
    },
    snapshot::here::Birth,
    sockets::{
        connection::{self, Plain},
        descriptors::Descriptors,
    },
};
use std::{
    any::{Any, TypeId},
    panic::Location,
    rc::Rc,
};

/// What made its protocol.
struct Adopter<F> {
    factory: F,
    birth: Birth,
}

#[track_caller]
pub(super) fn begin<F: Factory>(
    core: &Rc<Core>,
    adopted: Adopted,
    factory: F,
) -> Result<Option<Transport>, AdoptError> {
    let birth = Birth::at(Location::caller());
    let peer = adopted.peer.unwrap_or(Address::Pipe);
    let _entered = core.enter();
    let layer: Option<LayerOf<F>> = build(&factory, &peer).map_err(AdoptError::failed)?;
    let Some(layer) = layer else {
        core.driver.close(adopted.handle);
        return Ok(None);
    };
    let owner = Rc::new(Adopter { factory, birth });
    let wire = Wire::new(Some(core.clone()), owner, adopted.handle.into(), peer);
    let connection = Rc::new(Connection { wire, layer });
    let transport = Transport { link: connection.clone() };
    match adopted.family {
        Family::V4 | Family::V6 => connection::begin::<Plain, _>(core, connection),
        Family::Unix => connection::begin::<Descriptors, _>(core, connection),
    }
    Ok(Some(transport))
}

impl<F: Factory> Owner for Adopter<F> {
    fn factory(&self, id: TypeId) -> Option<&dyn Any> {
        self.factory.find_factory(id)
    }

    fn factory_name(&self) -> &'static str {
        self.factory.factory_name()
    }

    fn birth(&self) -> Option<&Birth> {
        Some(&self.birth)
    }

    fn lost(&self, _why: Failure) {}
}
