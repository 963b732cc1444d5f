"""The pieces of a registration, liberal in: addresses, items, shipping, measures."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from milepost.api.v3_fields import (
    ANY_OBJECT,
    Amount,
    AnyObject,
    Counted,
    Country,
    Currency,
    DayOrEmpty,
    Filled,
    Measure,
    Text,
    Weighed,
    Whole,
    limited,
)


class Part(BaseModel):
    """A piece of a registration; ``document`` gives it in the form we keep and answer."""

    model_config = ConfigDict(
        strict=True, extra="ignore", frozen=True, json_schema_extra=ANY_OBJECT
    )

    nullable: ClassVar[frozenset[str]] = frozenset()
    """Fields whose null is told back; elsewhere the published answer knows no null."""
    never_empty: ClassVar[frozenset[str]] = frozenset()
    """Fields where an empty text means that there is none."""

    def document(self) -> dict[str, Any]:
        """The fields that were given (and defaults), nested, ready for JSON."""
        # Walked for every registration, so the fields are taken where pydantic keeps them.
        given = self.__pydantic_fields_set__
        document: dict[str, Any] = {}
        for name, value in self.__dict__.items():
            if value is None:
                if name in given and name in self.nullable:
                    document[name] = None
            elif type(value) is not str:
                document[name] = _plain(value)
            elif value or name not in self.never_empty:
                document[name] = value
        return document


def _plain(value: Any) -> Any:
    if type(value) is str:
        return value
    if isinstance(value, Part):
        return value.document()
    return [_plain(item) for item in value] if isinstance(value, list) else value


class Address(Part):
    """A sender or recipient; only the country and the postal code are required."""

    nullable = frozenset(
        {
            "name",
            "company_name",
            "address_line_1",
            "address_line_2",
            "house_number",
            "city",
            "po_box",
            "state_province_code",
            "phone_number",
            "email",
        }
    )

    name: Text | None = None
    company_name: Text | None = None
    address_line_1: Text | None = None
    address_line_2: Text | None = None
    house_number: Text | None = None
    postal_code: Filled
    city: Text | None = None
    po_box: Text | None = None
    state_province_code: Text | None = None
    country_code: Country
    phone_number: Text | None = None
    email: Text | None = None


class Price(Part):
    """A value, sent as text or number, and a currency."""

    value: Amount
    currency: Currency


class Weight(Part):
    """A weight over zero."""

    value: Weighed
    unit: Literal["kg", "g", "lbs", "oz"]


class DangerousGoods(Part):
    """Hazardous materials information of an item."""

    never_empty = frozenset(
        {
            "regulation_set",
            "unit_of_measurement",
            "commodity_regulated_level_code",
            "transportation_mode",
            "adr_packing_group_letter",
            "weight_type",
        }
    )

    chemical_record_identifier: Text | None = None
    regulation_set: Literal["IATA", "ADR", ""] | None = None
    packaging_type_quantity: Text | None = None
    packaging_type: Text | None = None
    packaging_instruction_code: Text | None = None
    id_number: Text | None = None
    class_division_number: Text | None = None
    quantity: Text | None = None
    unit_of_measurement: Literal["KG", "G", "L", "ML", ""] | None = None
    proper_shipping_name: Text | None = None
    commodity_regulated_level_code: Literal["LQ", "EQ", ""] | None = None
    transportation_mode: Literal["Highway", "Ground", "PAX", "CAO", ""] | None = None
    emergency_contact_name: Text | None = None
    emergency_contact_phone: Text | None = None
    adr_packing_group_letter: Literal["I", "II", "III", ""] | None = None
    local_proper_shipping_name: Text | None = None
    transport_category: Text | None = None
    tunnel_restriction_code: Text | None = None
    weight_type: Literal["Net", "Gross", ""] | None = None


class Item(Part):
    """One kind of thing in the parcel."""

    nullable = frozenset(
        {
            "mid_code",
            "material_content",
            "intended_use",
            "dds_reference",
            "taric_doc_code",
            "manufacturer_product_id",
            "manufacturer_product_id_std",
        }
    )
    never_empty = frozenset({"item_id"})

    item_id: Text | None = None
    source_id: Text | None = None
    description: Annotated[str, limited(255, 1)]
    quantity: Annotated[Counted | None, AfterValidator(lambda given: given or 1)] = 1
    weight: Weight
    price: Price
    hs_code: Annotated[
        Annotated[str, limited(12)] | None, AfterValidator(lambda given: given or "")
    ] = ""
    origin_country: Text | None = None
    sku: Text | None = None
    product_id: Text | None = None
    mid_code: Text | None = None
    material_content: Text | None = None
    intended_use: Text | None = None
    dangerous_goods: DangerousGoods | None = None
    dds_reference: Text | None = None
    taric_doc_code: Text | None = None
    manufacturer_product_id: Annotated[str, limited(70)] | None = None
    manufacturer_product_id_std: Annotated[str, limited(70)] | None = None
    properties: AnyObject | None = None


class OptionProperties(Part):
    """How it was shipped, by shipping option; a contract id may stand beside it."""

    nullable = frozenset({"user_shipping_method_name", "user_shipping_method_id"})

    shipping_option_code: Filled
    contract_id: Counted | None = None
    user_shipping_method_name: Text | None = None
    user_shipping_method_id: Text | None = None


class ContractProperties(Part):
    """How it was shipped, by contract."""

    nullable = frozenset({"user_shipping_method_name", "user_shipping_method_id"})

    contract_id: Counted
    user_shipping_method_name: Text | None = None
    user_shipping_method_id: Text | None = None


class WithOption(Part):
    """``ship_with`` of type ``shipping_option_code``."""

    type: Literal["shipping_option_code"]
    properties: OptionProperties


class WithContract(Part):
    """``ship_with`` of type ``contract``."""

    type: Literal["contract"]
    properties: ContractProperties


class Details(Part):
    """What the parcel belongs to and how it is delivered."""

    never_empty = frozenset({"expected_delivery_date"})

    brand_id: Whole | None = None
    integration_id: Whole | None = None
    is_return: bool | None = None
    is_mail_box: bool | None = None
    is_to_service_point: bool | None = None
    expected_delivery_date: DayOrEmpty | None = None


class Dimension(Part):
    """Length, width and height."""

    length: Measure
    width: Measure
    height: Measure
    unit: Literal["cm", "mm", "m", "yd", "ft", "in"]


class Volume(Part):
    """A volume."""

    value: Measure
    unit: Literal["m3", "cm3", "l", "ml", "gal"]


class Measurements(Part):
    """Size and weight of the parcel."""

    dimension: Dimension | None = None
    weight: Weight | None = None
    volume: Volume | None = None


class Order(Part):
    """The order the parcel comes from."""

    order_number: Text | None = None
    source_external_id: Text | None = None
    source_id: Text | None = None
    total_order_price: Price | None = None


class Shipment(Part):
    """The shipment the parcel comes from."""

    external_reference_id: Text | None = None
    order: Order | None = None
    price: Price | None = None
    source_id: Text | None = None
