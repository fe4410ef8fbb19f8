"""The node of the end-to-end tests, for other people's clients."""

from tests.e2e.conftest import node, start_node

__all__ = ["node", "start_node"]
