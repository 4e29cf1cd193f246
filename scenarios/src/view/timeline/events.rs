//! Events on tracks.

use glassnet_sim::Nanos;
use prost::Message;

use super::perfetto::{DebugAnnotation, EventType, Trace, TracePacket, TrackDescriptor, TrackEvent};

/// Who wrote the packets of a file: one writer.
const WRITER: u32 = 1;

/// A longer file is not written: whoever opens it has the whole in memory.
pub const MOST_BYTES: usize = 1 << 30;

/// A track that events stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Track(u64);

/// A file being written. Events of a track come in the order of time.
#[derive(Default)]
pub(super) struct Events {
    tracks: u64,
    bytes: Vec<u8>,
}

/// An event before it has a place.
#[derive(Clone, Default)]
pub(super) struct Event {
    name: String,
    category: &'static str,
    annotations: Vec<DebugAnnotation>,
    flow: Option<(u64, bool)>,
}

impl Event {
    pub(super) fn new(category: &'static str, name: impl Into<String>) -> Event {
        Event { name: name.into(), category, ..Event::default() }
    }

    pub(super) fn number(mut self, name: &str, value: u64) -> Event {
        let name = Some(name.to_owned());
        self.annotations.push(DebugAnnotation { name, uint_value: Some(value), string_value: None });
        self
    }

    pub(super) fn text(mut self, name: &str, value: impl Into<String>) -> Event {
        let name = Some(name.to_owned());
        self.annotations.push(DebugAnnotation { name, uint_value: None, string_value: Some(value.into()) });
        self
    }

    /// A flow goes through it, and ends there or not.
    pub(super) fn flow(mut self, flow: u64, ends: bool) -> Event {
        self.flow = Some((flow, ends));
        self
    }

    fn into_message(self, track: Track, kind: EventType) -> TrackEvent {
        let ids = |wanted| {
            self.flow.filter(|(_, ends)| *ends == wanted).map(|(flow, _)| flow).into_iter().collect()
        };
        TrackEvent {
            r#type: Some(kind.into()),
            track_uuid: Some(track.0),
            categories: vec![self.category.to_owned()],
            flow_ids: ids(false),
            terminating_flow_ids: ids(true),
            name: Some(self.name),
            debug_annotations: self.annotations,
            counter_value: None,
        }
    }
}

impl Events {
    /// A new track; whatever its description says of its number is replaced.
    pub(super) fn track(&mut self, parent: Option<Track>, description: TrackDescriptor) -> Track {
        self.tracks += 1;
        let track = Track(self.tracks);
        let description = TrackDescriptor {
            uuid: Some(track.0),
            parent_uuid: parent.map(|parent| parent.0),
            ..description
        };
        self.write(TracePacket { track_descriptor: Some(description), ..TracePacket::default() });
        track
    }

    pub(super) fn begin(&mut self, track: Track, at: Nanos, event: Event) {
        self.push(at, event.into_message(track, EventType::SliceBegin));
    }

    pub(super) fn end(&mut self, track: Track, at: Nanos) {
        let (kind, track_uuid) = (Some(EventType::SliceEnd.into()), Some(track.0));
        self.push(at, TrackEvent { r#type: kind, track_uuid, ..TrackEvent::default() });
    }

    pub(super) fn instant(&mut self, track: Track, at: Nanos, event: Event) {
        self.push(at, event.into_message(track, EventType::Instant));
    }

    pub(super) fn counter(&mut self, track: Track, at: Nanos, value: u32) {
        let (kind, track_uuid) = (Some(EventType::Counter.into()), Some(track.0));
        let counter_value = Some(i64::from(value));
        self.push(at, TrackEvent { r#type: kind, track_uuid, counter_value, ..TrackEvent::default() });
    }

    fn push(&mut self, at: Nanos, event: TrackEvent) {
        self.write(TracePacket { timestamp: Some(at.0), track_event: Some(event), ..TracePacket::default() });
    }

    /// Files with a packet each are a file with all of them when they stand one behind the other.
    fn write(&mut self, packet: TracePacket) {
        if self.bytes.len() > MOST_BYTES {
            return;
        }
        let packet = TracePacket { trusted_packet_sequence_id: Some(WRITER), ..packet };
        let file = Trace { packet: vec![packet] };
        file.encode(&mut self.bytes).expect("a vector has room");
    }

    /// The file; `None`: it would have more than [`MOST_BYTES`].
    pub(super) fn into_bytes(self) -> Option<Vec<u8>> {
        (self.bytes.len() <= MOST_BYTES).then_some(self.bytes)
    }
}
