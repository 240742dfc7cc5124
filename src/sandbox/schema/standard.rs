//! Salesforce's standard objects, as far as mappings meet them.

use super::{Field, FieldType};

/// Reads a line of [`OBJECTS`]: `name type[(length|precision,scale)] [!]` or `name -> Object as Relationship [!|?]`.
pub(super) fn field(line: &str) -> (&str, Field) {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap_or_default();
    let kind = words.next().unwrap_or_default();
    let (kind, size) = kind.split_once('(').map_or((kind, ""), |(kind, size)| (kind, size.trim_end_matches(')')));
    let mut field = match kind {
        "->" => {
            let (to, relationship) = (words.next(), words.nth(1));
            Field {
                to: to.map(str::to_owned),
                relationship: relationship.map(str::to_owned),
                ..Field::new(FieldType::Reference, 18)
            }
        }
        "textarea" => Field::new(FieldType::TextArea, 32_000),
        "email" => Field::new(FieldType::Email, 80),
        "phone" => Field::new(FieldType::Phone, 40),
        "url" => Field::new(FieldType::Url, 255),
        "picklist" => Field::new(FieldType::Picklist, 255),
        "boolean" => Field::new(FieldType::Boolean, 0),
        "int" => Field { precision: 8, ..Field::new(FieldType::Int, 0) },
        "currency" => Field { scale: 2, ..Field::new(FieldType::Currency, 0) },
        "percent" => Field { precision: 3, ..Field::new(FieldType::Percent, 0) },
        "double" => Field { scale: 8, ..Field::new(FieldType::Double, 0) },
        "date" => Field::new(FieldType::Date, 0),
        "datetime" => Field::new(FieldType::DateTime, 0),
        _ => Field::new(FieldType::String, 255),
    };
    if let Some((precision, scale)) = size.split_once(',') {
        field.precision = precision.parse().unwrap_or(field.precision);
        field.scale = scale.parse().unwrap_or(field.scale);
    } else if let Ok(length) = size.parse() {
        field.length = length;
    }
    field.required = line.ends_with('!');
    field.defaulted = line.ends_with('?');
    (name, field)
}

/// The standard objects; `!` marks what a record cannot be created without, `?` what is never empty either, and gets a value
/// where none is given.
pub(super) const OBJECTS: &[(&str, [u8; 3], &str)] = &[
    (
        "Account",
        *b"001",
        "Name string(255) !
         AccountNumber string(40)
         Type picklist
         Industry picklist
         ParentId -> Account as Parent
         Phone phone
         Fax phone
         Website url
         AnnualRevenue currency(18,0)
         NumberOfEmployees int
         Description textarea
         Site string(80)
         Rating picklist
         Ownership picklist
         Sic string(20)
         TickerSymbol string(20)
         AccountSource picklist
         CurrencyIsoCode picklist
         OwnerId -> User as Owner ?
         BillingStreet textarea(255)
         BillingCity string(40)
         BillingState string(80)
         BillingStateCode picklist
         BillingPostalCode string(20)
         BillingCountry string(80)
         BillingCountryCode picklist
         ShippingStreet textarea(255)
         ShippingCity string(40)
         ShippingState string(80)
         ShippingPostalCode string(20)
         ShippingCountry string(80)
         ShippingCountryCode picklist",
    ),
    (
        "Contact",
        *b"003",
        "LastName string(80) !
         FirstName string(40)
         MiddleName string(40)
         Salutation picklist
         Title string(128)
         AccountId -> Account as Account
         ReportsToId -> Contact as ReportsTo
         Email email
         Phone phone
         MobilePhone phone
         HomePhone phone
         OtherPhone phone
         AssistantPhone phone
         AssistantName string(40)
         Fax phone
         Department string(80)
         Birthdate date
         LeadSource picklist
         Description textarea
         DoNotCall boolean
         HasOptedOutOfEmail boolean
         HasOptedOutOfFax boolean
         CurrencyIsoCode picklist
         OwnerId -> User as Owner ?
         MailingStreet textarea(255)
         MailingCity string(40)
         MailingState string(80)
         MailingStateCode picklist
         MailingPostalCode string(20)
         MailingCountry string(80)
         MailingCountryCode picklist
         OtherStreet textarea(255)
         OtherCity string(40)
         OtherState string(80)
         OtherPostalCode string(20)
         OtherCountry string(80)",
    ),
    (
        "Lead",
        *b"00Q",
        "LastName string(80) !
         FirstName string(40)
         Company string(255) !
         Salutation picklist
         Title string(128)
         Email email
         Phone phone
         MobilePhone phone
         Website url
         Status picklist
         LeadSource picklist
         Industry picklist
         Rating picklist
         AnnualRevenue currency(18,0)
         NumberOfEmployees int
         Description textarea
         OwnerId -> User as Owner ?
         Street textarea(255)
         City string(40)
         State string(80)
         PostalCode string(20)
         Country string(80)
         CountryCode picklist",
    ),
    (
        "Opportunity",
        *b"006",
        "Name string(120) !
         StageName picklist !
         CloseDate date !
         AccountId -> Account as Account
         Amount currency(18,2)
         Probability percent
         Type picklist
         NextStep string(255)
         LeadSource picklist
         CurrencyIsoCode picklist
         OwnerId -> User as Owner ?
         Description textarea",
    ),
    (
        "OpportunityContactRole",
        *b"00K",
        "OpportunityId -> Opportunity as Opportunity !
         ContactId -> Contact as Contact !
         Role picklist
         IsPrimary boolean",
    ),
    (
        "Product2",
        *b"01t",
        "Name string(255) !
         ProductCode string(255)
         StockKeepingUnit string(180)
         Family picklist
         IsActive boolean
         QuantityUnitOfMeasure picklist
         CurrencyIsoCode picklist
         Description textarea(4000)",
    ),
    (
        "Order",
        *b"801",
        "AccountId -> Account as Account
         Name string(80)
         OrderReferenceNumber string(80)
         PoNumber string(80)
         EffectiveDate date !
         EndDate date
         Status picklist !
         Type picklist
         TotalAmount currency(18,2)
         CurrencyIsoCode picklist
         BillToContactId -> Contact as BillToContact
         ShipToContactId -> Contact as ShipToContact
         Description textarea
         BillingStreet textarea(255)
         BillingCity string(40)
         BillingPostalCode string(20)
         BillingCountry string(80)
         ShippingStreet textarea(255)
         ShippingCity string(40)
         ShippingPostalCode string(20)
         ShippingCountry string(80)",
    ),
    (
        "OrderItem",
        *b"802",
        "OrderId -> Order as Order !
         Product2Id -> Product2 as Product2
         PricebookEntryId string(18)
         Quantity double(18,2) !
         UnitPrice currency(18,2)
         ServiceDate date
         EndDate date
         Description string(255)",
    ),
    (
        "User",
        *b"005",
        "Username string(80) !
         LastName string(80) !
         FirstName string(40)
         Email email
         EmployeeNumber string(20)
         FederationIdentifier string(255)
         IsActive boolean",
    ),
];
