"""The media plane: an asyncio face on a native core."""
