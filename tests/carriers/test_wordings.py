"""Carriers read by their words: sentences that look alike and mean the contrary."""

import pytest
from tests.carriers.loopback import carrier

from milepost.tracking.vocabulary import UNREAD, ExceptionCode, Phase

NEW = "code-nobody-knows"


@pytest.mark.parametrize(
    ("code", "text", "phase"),
    [
        ("hermes_de", "The shipment was announced to Hermes electronically.", Phase.ANNOUNCED),
        ("hermes_de", "The shipment has arrived at the Hermes distribution centre.", Phase.SORTED),
        ("hermes_de", "The shipment has gone out on a delivery route.", Phase.IN_DELIVERY),
        ("hermes_de", "The shipment has been delivered.", Phase.DELIVERED),
        ("hermes_de", "The shipment has been delivered to a ParcelShop.", Phase.PUP),
        ("hermes_de", "The shipment has not been delivered.", Phase.ATTEMPTED),
        ("hermes_de", "The shipment could not be delivered.", Phase.ATTEMPTED),
        ("hermes_de", "Die Sendung wurde zugestellt.", Phase.DELIVERED),
        ("hermes_de", "Die Sendung wurde nicht zugestellt.", Phase.ATTEMPTED),
        ("hermes_de", "The shipment is being returned to the sender.", Phase.IN_TRANSIT),
        ("hermes_de", "The shipment was returned to the sender.", Phase.DELIVERED),
        ("correos", "Entregado", Phase.DELIVERED),
        ("correos", "No ha sido entregado", Phase.ATTEMPTED),
        ("correos", "Disponible en oficina", Phase.PUP),
        ("correos", "Admitido en oficina", Phase.ACCEPTED),
        ("correos", "Alta en la unidad de reparto", Phase.SORTED),
        ("correos", "En reparto", Phase.IN_DELIVERY),
        ("correos_express", "NO ENTREGADO", Phase.ATTEMPTED),
        ("correos_express", "ENTREGADO AL REMITENTE", Phase.DELIVERED),
        ("correos_express", "DELEGACIÓN DESTINO", Phase.SORTED),
        ("dhl_parcel_iberia", "No se ha podido entregar", Phase.ATTEMPTED),
        ("dhl_parcel_iberia", "Disponible en punto de recogida", Phase.PUP),
        ("poste_italiane", "La spedizione è stata consegnata", Phase.DELIVERED),
        ("poste_italiane", "La spedizione non è stata consegnata", Phase.ATTEMPTED),
        ("poste_italiane", "Consegnata presso l'ufficio postale", Phase.PUP),
        ("poste_italiane", "Consegnata al destinatario in ufficio postale", Phase.DELIVERED),
        ("poste_italiane", "In consegna", Phase.IN_DELIVERY),
        ("poste_italiane", "Shipment delivered to the post office", Phase.PUP),
    ],
)
def test_a_new_code_is_read_by_its_words(code: str, text: str, phase: Phase) -> None:
    assert carrier(code).manifest.classify_by_code(NEW, text)[1].phase is phase


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("hermes_de", "The recipient was notified."),
        ("hermes_de", "Die Sendung wird heute zugestellt."),
        ("correos", "Pendiente de ser entregado"),
        ("correos_express", "PENDIENTE DE SER ENTREGADO"),
        ("poste_italiane", "La spedizione verrà consegnata domani"),
        ("poste_italiane", "It will be delivered tomorrow"),
    ],
)
def test_what_will_be_is_not_what_was(code: str, text: str) -> None:
    assert carrier(code).manifest.classify_by_code(NEW, text)[1] == UNREAD


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("hermes_de", "The shipment was returned to the sender."),
        ("correos", "Entregado al remitente"),
        ("correos_express", "ENTREGADO AL REMITENTE"),
        ("dhl_parcel_iberia", "Devuelto al remitente"),
        ("poste_italiane", "Riconsegnata al mittente"),
    ],
)
def test_back_at_the_sender_is_no_delivery(code: str, text: str) -> None:
    reading = carrier(code).manifest.classify_by_code(NEW, text)[1]
    assert (reading.phase, reading.exception) == (Phase.DELIVERED, ExceptionCode.RETURNED_SENDER)
