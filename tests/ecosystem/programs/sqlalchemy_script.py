"""A plain script on SQLAlchemy's async engine: everything it does is done on the default portal's loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gllm_core.concurrency import syncify, syncify_context, syncify_iterator


class Base(DeclarativeBase):
    pass


class Word(Base):
    __tablename__ = "words"
    word: Mapped[str] = mapped_column(primary_key=True)


engine = create_async_engine(f"sqlite+aiosqlite:///{sys.argv[1]}")
new_session = async_sessionmaker(engine, expire_on_commit=False)


@syncify
async def create() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


@syncify
async def add(session: AsyncSession, *words: str) -> None:
    session.add_all(Word(word=word) for word in words)
    await session.flush()


@syncify
async def count(session: AsyncSession) -> int | None:
    return await session.scalar(select(func.count()).select_from(Word))


@syncify_iterator
async def stream(session: AsyncSession) -> AsyncIterator[str]:
    async for word in await session.stream_scalars(select(Word).order_by(Word.word)):
        yield word.word


create()
with syncify_context(new_session)() as session:  # one session, one transaction, across calls
    add(session, "one", "two")
    print("within:", count(session))
    syncify(session.rollback)()
    print("rolled back:", count(session))
    add(session, "three", "four")
    syncify(session.commit)()
    print("committed:", *stream(session))
with syncify_context(new_session)() as session:
    with syncify_context(session.begin)():
        add(session, "five")
    print("in another session:", count(session))
syncify(engine.dispose)()


async def elsewhere() -> int | None:
    """The engine has let go of the portal's loop, so another loop may use it."""
    async with new_session() as session:
        found = await session.scalar(select(func.count()).select_from(Word))
    await engine.dispose()
    return found


print("on another loop:", asyncio.run(elsewhere()))
