//! The raw writes are what they claim: every movement an entry, no account twice, no money lost.

use super::*;

async fn writer(
    url: &str,
    share: (i64, i64),
    people: i64,
    prepare: bool,
) -> anyhow::Result<Writer> {
    let mut conn = store::connect(url).await?;
    if prepare {
        store::prepare(&mut conn, people).await?;
    }
    let accounts = vec![(0, 0, 0); usize::try_from(people)? + 1];
    Ok(Writer { conn, share, accounts, last_id: 0, clock: Clock::set_at(7) })
}

#[tokio::test]
async fn every_movement_is_an_entry_and_every_account_is_its_sum() -> anyhow::Result<()> {
    for database in cashout_testing::databases("bench_raw").await? {
        let population = Population::Uniform(100);
        let mut rng = StdRng::seed_from_u64(1);
        let mut first = writer(&database.url, (2, 0), 100, true).await?;
        let mut second = writer(&database.url, (2, 1), 100, false).await?;
        for _ in 0..2 {
            for writer in [&mut first, &mut second] {
                let (accounts, entries) = writer.batch(&population, &mut rng);
                assert_eq!((accounts.len(), entries.len()), (50, 1000));
                store::write(&mut writer.conn, &accounts, &entries).await?;
            }
        }
        assert_eq!(store::totals(&mut first.conn).await?, (4000, 4000, 4000));
        // Whoever remembers something else than what is stored is refused.
        let (mut accounts, entries) = first.batch(&population, &mut rng);
        accounts[0].version += 1;
        assert!(store::write(&mut first.conn, &accounts, &entries).await.is_err());
    }
    Ok(())
}
