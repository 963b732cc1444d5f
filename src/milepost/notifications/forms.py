"""Who can be told, and in which forms."""

from enum import StrEnum


class Kind(StrEnum):
    """What a connection is."""

    WEBHOOK = "webhook"
    KLAVIYO = "klaviyo"
    INTEGRATION = "integration"
    EMAIL = "email"


class Form(StrEnum):
    """How something is said. ``EVENT`` is also what the feed keeps of every event."""

    EVENT = "sendcloud_v3"
    CLASSIC = "sendcloud_classic"
    CLOUD_EVENT = "cloudevents"
    EMAIL = "email"


class Told(StrEnum):
    """What the outbox says has happened: to an event, or to its parcel, which is gone then."""

    EVENT = "event"
    WITHDRAWN = "withdrawn"
    ERASED = "erased"
