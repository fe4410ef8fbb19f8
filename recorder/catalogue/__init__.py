"""The list of lessons: the worker writes it, the web reads it, people search it and add to it."""

from recorder.catalogue.catalogue import Catalogue, Page
from recorder.catalogue.database import FILE
from recorder.catalogue.marks import Passage
from recorder.catalogue.search import FILTERS, Hit, Query, Sort

__all__ = ["FILE", "FILTERS", "Catalogue", "Hit", "Page", "Passage", "Query", "Sort"]
