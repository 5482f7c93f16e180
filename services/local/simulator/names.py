"""The invented words that totesys's rows are made of. Pure: every choice comes from the random numbers passed in.

Invariant: the awkward shapes of the real source (apostrophes, commas, ampersands, brackets, leading zeros) are
always among them, whatever the seed, because rows take their shape by their number.
"""

from collections.abc import Sequence
from random import Random
from string import ascii_lowercase, digits
from typing import TypeVar

T = TypeVar("T")

MAIL_DOMAIN = "terrifictotes.com"
FIRST_NAMES = (
    "Maeve", "Tobias", "Ingrid", "Callum", "Priya", "Anselm", "Rosalind", "Idris", "Beatrix", "Magnus",
    "Yusuf", "Petra", "Fergus", "Lucinda", "Kofi", "Greta", "Alasdair", "Noor", "Winifred", "Emil",
)  # fmt: skip
LAST_NAMES = (
    "O'Keefe", "Harrow", "D'Arcy", "Lindqvist", "Nair", "Whitlock", "O'Rourke", "Penhaligon", "Sato", "McAllister",
    "Van der Berg", "Achterberg", "Quigley", "Smith-Rowe", "Mensah", "Ostrander", "Haddad",
    "Trevelyan", "Brandt", "Ives",
)  # fmt: skip
DEPARTMENTS = (
    ("Sales", "Bristol"), ("Buying", "Bristol"), ("Print Room", "Cardiff"), ("Dispatch", "Leds"),
    ("Accounts", "Bristol"), ("Buildings", "York"), ("Press & Public Affairs", "Leeds"), ("People", "York"),
)  # fmt: skip
"""Name and location; the fourth is spelled `Leds`, as the source spells it."""
DEPARTMENT_NAMES = (
    "Field Sales",
    "Sourcing",
    "Print & Stitch",
    "Logistics (North)",
    "Ledgers",
    "Estates",
    "Press",
    "HR",
)
"""What a department may be called after a change."""
CURRENCIES = ("GBP", "USD", "EUR")
PAYMENT_TYPES = ("SALES_RECEIPT", "SALES_REFUND", "PURCHASE_PAYMENT", "PURCHASE_REFUND")
DESIGNS = (
    "Linen", "Harbour", "Meadow", "Copper", "Thistle", "Marble",
    "Lantern", "Orchard", "Pebble", "Willow", "Saffron", "Cobalt",
)  # fmt: skip
"""Twelve names for all designs, so a design's name is not unique."""
FOLDERS = (
    "/usr/local/designs",
    "/srv/print/ready",
    "/opt/totes/artwork",
    "/var/spool/stitch",
    "/home/studio/final",
    "/mnt/press",
)
CITIES = ("Ashcombe", "Port Merrow", "St. Ives Bay", "New Thornby", "Lake Odell", "Kirkwall Green", "East Farrow")
DISTRICTS = ("Hertshire", "Upper Vale", "King's Lynnmoor", "Bordershire", "Westmarch")
STREETS = ("Mill Lane", "Harbour View", "St. John's Walk", "Foundry Row", "Elm & Ash Close", "Quay Street")
UNITS = ("Suite 014", "Flat 2", "Unit 7 (rear)", "Floor 3")
COUNTRIES = (
    "United Kingdom", "Turks & Caicos Islands", "Cocos (Keeling) Islands", "Lao People's Democratic Republic",
    "Portugal", "Korea, Republic of", "Canada", "Sao Tome & Principe", "New Zealand",
)  # fmt: skip
POSTAL_SHAPES = ("0####", "#####-####", "AA# #AA", "00###", "####")
PHONE_SHAPES = ("0### ######", "(0####) ######", "1-###-###-####", "00## ### ####", "###.###.####")


def pick(random: Random, choices: Sequence[T]) -> T:
    """One of the choices, each as likely as the others."""
    return choices[int(random.random() * len(choices))]


def person(random: Random) -> str:
    """A first and a last name."""
    return f"{pick(random, FIRST_NAMES)} {pick(random, LAST_NAMES)}"


def mail_address(first_name: str, last_name: str) -> str:
    """The work address, apostrophe and all: maeve.o'keefe@terrifictotes.com is real and valid."""
    return f"{first_name}.{last_name}@{MAIL_DOMAIN}".lower().replace(" ", "")


def company(random: Random, number: int) -> str:
    """A legal name; each fifth has one of the shapes."""
    first, second, third = random.sample(LAST_NAMES, 3)
    shapes = (
        f"{first}, {second} and {third}",
        f"{first} & {second} Ltd",
        f"{first} ({pick(random, CITIES)})",
        f"{first}-{second}",
        f"{first} Inc.",
    )
    return shapes[number % len(shapes)]


def street(random: Random) -> str:
    """The first line of an address."""
    return f"{1 + int(random.random() * 999):03} {pick(random, STREETS)}"


def shaped(random: Random, shape: str) -> str:
    """The shape with each # a digit and each A a letter; the rest, leading zeros too, as it stands."""
    return "".join(_DRAWS[mark](random) if mark in _DRAWS else mark for mark in shape)


def file_name(random: Random, design: str, day: str) -> str:
    """A design's file, unique for all practical purposes: linen-20260105-4dpq.json."""
    code = "".join(pick(random, ascii_lowercase + digits) for _ in range(4))
    return f"{design.lower()}-{day.replace('-', '')}-{code}.json"


_DRAWS = {
    "#": lambda random: pick(random, digits),
    "A": lambda random: pick(random, ascii_lowercase.upper()),
}
