//! How messages of our services become bytes and back: as prost does it, with buffers that fit them.
//!
//! Tonic takes 8 KiB for each direction of every call before it knows what is said. Nearly all of our
//! messages are a few hundred bytes, and what is longer grows its buffer. Must not know: any message.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// What a call's buffers begin with, bytes: room for most of our messages, and little enough for the system's
/// memory allocator to keep at hand for the next call.
const BUFFER_BYTES: usize = 512;
/// How much of a stream is gathered before it is handed on, bytes: tonic's own default.
const HANDED_ON_BYTES: usize = 32 * 1024;

/// The codec of our services' methods; named in `build.rs`.
#[derive(Debug)]
pub struct Fitting<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Fitting<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, HANDED_ON_BYTES)
}

impl<T, U> Codec for Fitting<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(buffers())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(buffers())
    }
}
