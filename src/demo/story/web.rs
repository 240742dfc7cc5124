//! What happens in the web shop.

use anyhow::Result;

use super::{Record, Story};

impl Story {
    pub(super) async fn new_product(&mut self) -> Result<()> {
        let start = self.begin();
        let product = self.web.list().await?;
        let text = format!("the web shop lists {}", product.name);
        self.arrived(&text, start, &[("Product2", product.id)]).await.map(drop)
    }

    pub(super) async fn price(&mut self) -> Result<()> {
        let start = self.begin();
        let product = self.web.reprice().await?;
        let text = format!("{} costs {} now", product.name, product.price);
        self.arrived(&text, start, &[("Product2", product.id)]).await?;
        self.pause().await;
        let start = self.begin();
        let product = self.web.withdraw().await?;
        let text = format!("{} is sold out, or is back", product.name);
        self.arrived(&text, start, &[("Product2", product.id)]).await.map(drop)
    }

    pub(super) async fn sale(&mut self) -> Result<()> {
        let start = self.begin();
        let (kind, products) = self.web.sale().await?;
        let records: Vec<Record> = products.iter().map(|&id| ("Product2", id)).collect();
        let entries = self.awaited(start.mark, &records).await?;
        let shop = format!("every {kind} is 10 % off, at once");
        let crm = format!("{} Products updated ({})", entries.len(), start.since());
        self.teller.happened(&shop, &crm);
        Ok(())
    }
}
