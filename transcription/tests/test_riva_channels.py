"""How streams share connections."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from transcription.riva.channels import STREAMS_PER_CHANNEL, ChannelPool
from transcription.riva.target import RivaTarget


@pytest.fixture(params=["http2", "grpcio"])
async def pool(request: pytest.FixtureRequest) -> AsyncIterator[ChannelPool]:
    pool = ChannelPool(RivaTarget("localhost:1", transport=request.param))
    yield pool
    await pool.aclose()


async def test_a_channel_carries_fifty_streams(pool: ChannelPool) -> None:
    leases = [pool.lease() for _ in range(STREAMS_PER_CHANNEL + 1)]
    assert len({id(lease.stub) for lease in leases}) == 2
    assert leases[0].stub is leases[-2].stub is not leases[-1].stub


async def test_a_place_given_back_is_taken_again_before_a_channel_is_made(pool: ChannelPool) -> None:
    leases = [pool.lease() for _ in range(STREAMS_PER_CHANNEL)]
    leases[7].release()
    assert pool.lease().stub is leases[0].stub


async def test_a_place_is_given_back_once(pool: ChannelPool) -> None:
    leases = [pool.lease() for _ in range(STREAMS_PER_CHANNEL)]
    leases[7].release()
    leases[7].release()
    assert pool.lease().stub is leases[0].stub
    assert pool.lease().stub is not leases[0].stub


async def test_a_full_channel_gets_no_more_than_its_peer_takes(pool: ChannelPool) -> None:
    taken, refused = pool.lease(), pool.lease()
    refused.mark_full()
    refused.release()
    other = pool.lease()
    assert other.stub is not taken.stub
    taken.release()
    assert pool.lease().stub is taken.stub
