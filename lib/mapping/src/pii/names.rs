//! What names of columns say: words of English and of other languages of Europe.

use super::Kind;

/// Words that say it wherever they stand in a name; several words are written as one.
const ANYWHERE: &[(Kind, &str)] = &[
    (
        Kind::Mail,
        "email emails mail mailaddress courriel correo correio emailadresse epost \
         sahkoposti posta",
    ),
    (
        Kind::Phone,
        "phone telephone mobile msisdn fax cellphone phonenumber telefon telefonnummer \
         handy handynummer mobil mobilnummer rufnummer telefono movil cellulare telefone \
         telemovel celular telefoon telefoonnummer komorka puhelin mobiltelefon whatsapp",
    ),
    (
        Kind::Iban,
        "iban bankaccount accountnumber kontonummer bankverbindung numerocompte \
         cuentabancaria contobancario rekeningnummer numerkonta tilinumero sortcode",
    ),
    (
        Kind::Card,
        "creditcard cardnumber ccnumber kreditkarte kartennummer cartebancaire \
         numerocarte tarjeta numerotarjeta cartadicredito numerocarta cartaocredito \
         creditcardnumber kaartnummer numerkarty",
    ),
    (
        Kind::NetworkAddress,
        "ip ipaddress ipaddr remoteip clientip remoteaddr macaddress ipv4 ipv6 adresseip \
         direccionip deviceid imei imsi idfa gaid advertisingid",
    ),
    (
        Kind::NationalId,
        "ssn socialsecuritynumber nationalid nationalinsurancenumber nino nhsnumber taxid \
         passport passportnumber idcard driverslicense driverlicense drivinglicence \
         steuerid steuernummer steueridentifikationsnummer sozialversicherungsnummer svnr \
         ausweisnummer personalausweis reisepass passnummer fuhrerschein ahvnummer ahv \
         nir numerosecuritesociale securitesociale passeport dni nif pasaporte \
         seguridadsocial codicefiscale passaporto niss passaporte bsn burgerservicenummer \
         rijksregisternummer paspoort pesel paszport personnummer fodselsnummer cpr \
         cprnummer hetu henkilotunnus rodnecislo cnp egn amka aadhaar cpf ppsn",
    ),
    (
        Kind::BirthDate,
        "birthdate dateofbirth dob birthday born birth birthyear yearofbirth age \
         geburtsdatum geburtstag gebdatum gebdat gebtag geboren birthdt \
         datenaissance datedenaissance naissance \
         fechanacimiento fechadenacimiento nacimiento edad datadinascita datanascita \
         nascita datanascimento nascimento geboortedatum dataurodzenia urodzenia \
         fodelsedatum fodselsdato fodselsdag syntymaaika datumnarozeni",
    ),
    (
        Kind::Name,
        "firstname lastname surname fullname givenname familyname middlename forename \
         maidenname nickname displayname personname customername contactname username \
         employeename patientname guestname cardholder cardholdername accountholder \
         vorname nachname familienname kundenname ansprechpartner geburtsname \
         kontoinhaber prenom nomdefamille nomcomplet nombre apellido apellidos \
         nombrecompleto cognome nomecompleto sobrenome apelido voornaam achternaam imie \
         nazwisko fornamn efternamn fornavn etternavn efternavn etunimi sukunimi jmeno \
         prijmeni",
    ),
    (
        Kind::Address,
        "address street streetaddress homeaddress addressline postcode postalcode zipcode \
         zip housenumber anschrift strasse hausnummer plz postleitzahl wohnort adresse \
         rue codepostal direccion calle codigopostal domicilio indirizzo morada endereco \
         straat adres huisnummer ulica kodpocztowy gatuadress postnummer katuosoite \
         osoite ulice psc",
    ),
    (
        Kind::Place,
        "latitude longitude geolocation gps coordinates breitengrad langengrad latitud \
         longitud",
    ),
    (
        Kind::Gender,
        "gender sex geschlecht sexe genre sexo genero sesso geslacht plec kjonn sukupuoli \
         pohlavi salutation anrede civilite",
    ),
    (
        Kind::Login,
        "login loginname userlogin benutzername identifiant usuario utente gebruikersnaam \
         uzytkownik anvandarnamn twitterhandle skype",
    ),
    (
        Kind::Secret,
        "password passwd pwd passwordhash passphrase pincode secret apikey accesstoken \
         passwort kennwort motdepasse contrasena senha wachtwoord haslo losenord passord \
         salasana heslo cvv cvc",
    ),
    (
        Kind::Sensitive,
        "religion ethnicity diagnosis disease disability bloodtype bloodgroup \
         politicalparty tradeunion sexualorientation konfession krankheit diagnose \
         behinderung blutgruppe maladie handicap enfermedad diagnostico malattia \
         gewerkschaft nationality staatsangehorigkeit nationalite nacionalidad salary \
         gehalt salaire salario stipendio",
    ),
];

/// Words that say it where they are the whole name.
const WHOLE: &[(Kind, &str)] = &[
    (
        Kind::Name,
        "name names nom nome naam namn navn nimi first last person author contact kunde \
         client kontakt",
    ),
    (Kind::Login, "user account handle benutzer"),
    (Kind::Address, "city town ort stadt ville ciudad citta cidade miasto stad"),
    (Kind::Card, "card pan"),
    (Kind::Phone, "tel portable"),
    (Kind::NetworkAddress, "mac"),
    (Kind::Place, "lat lon lng"),
    (Kind::Gender, "kon"),
    (Kind::NationalId, "nie"),
    (Kind::Sensitive, "race"),
];

/// Words that say of others that they are not of a person.
const NOT: &str = "\
    count flag verified valid sent status enabled type is has num product file table column \
    host company template campaign opt version page model brand vendor make";

/// Words of things that have names of people, and numbers with three dots, too.
const THINGS: &str = "\
    ship vessel boat brand product item model street road city town team hotel shop store \
    school event version release build firmware revision";

/// Tells whether a name of a column says that its values are not what they look like: names of
/// people, or addresses of a network.
pub(super) fn denies(name: &str, kind: Kind) -> bool {
    matches!(kind, Kind::Name | Kind::NetworkAddress)
        && words(name).iter().any(|word| has(THINGS, word))
}

/// Returns what a name says.
pub(super) fn of_name(name: &str) -> Option<Kind> {
    let words = words(name);
    let whole = words.concat();
    if let Some(kind) = listed(WHOLE, &whole) {
        return Some(kind);
    }
    if words.iter().any(|word| has(NOT, word)) {
        return None;
    }
    // Longer runs say more: `ip address` before `address`.
    for length in (1..=words.len().min(5)).rev() {
        for run in words.windows(length) {
            if let Some(kind) = listed(ANYWHERE, &run.concat()) {
                return Some(kind);
            }
        }
    }
    None
}

fn listed(lists: &[(Kind, &str)], word: &str) -> Option<Kind> {
    lists.iter().find(|(_, words)| has(words, word)).map(|(kind, _)| *kind)
}

/// Tells whether a list of words has this one.
fn has(words: &str, word: &str) -> bool {
    words.split(' ').any(|known| known == word)
}

/// Splits a name into words in small letters, without accents: `HomeAddress_2` is home, address.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let starts = c.is_uppercase() && before.is_lowercase();
        before = c;
        // What follows numbers one of several, but `ipv4` is a word.
        let is_part = c.is_alphabetic() || c.is_ascii_digit() && words_end_in_v(&words);
        if !is_part || starts {
            words.push(String::new());
        }
        if let (true, Some(word)) = (is_part, words.last_mut()) {
            match c {
                'ß' => word.push_str("ss"),
                _ => word.extend(c.to_lowercase().map(plain)),
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn words_end_in_v(words: &[String]) -> bool {
    words.last().is_some_and(|word| word == "ipv")
}

/// Returns a letter without its accent.
fn plain(c: char) -> char {
    match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'è' | 'é' | 'ê' | 'ë' | 'ę' | 'ě' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ł' => 'l',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => 'o',
        'ř' => 'r',
        'ś' | 'š' => 's',
        'ù' | 'ú' | 'û' | 'ü' | 'ů' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        c => c,
    }
}

/// First names that are common in Europe.
const FIRST: &str = "\
    adam alexander alice ana anders andrea ann anna anne antonio barbara ben bob carlos \
    carmen charles chiara christian claire clara daniel david elena elizabeth emil emily \
    emma eric erik eva felix francesco francois frank george giovanni giulia hannah hans \
    heinz helen ines ingrid ivan jack jacques jakub james jan jana jane jean jens joao johan \
    johannes john jonas jorge jose joseph juan julia julie kai karin karl katarzyna kate \
    klaus lars laura lena leo linda lisa louis luca lucas lucia luis magdalena manuel marco \
    marek maria marie mario mark marta martin mary matteo matthias max mia michael miguel \
    mohamed monika nicolas nina noah olga oliver olivia pablo paul paula pedro peter petr \
    petra philip pierre piotr rachel richard robert rosa sabine sara sarah simon sofia \
    sophie stefan susan sven thomas tim tom tomas ursula victor walter william wolfgang \
    xavier zofia";

/// Tells whether a text begins with a common first name, or has one behind a comma, and looks like
/// a name: a few words of letters.
pub(super) fn is_of_person(text: &str) -> bool {
    let is_name = |c: char| c.is_alphabetic() || matches!(c, ' ' | '-' | '\'' | '.' | ',');
    if text.len() > 60 || !text.chars().all(is_name) {
        return false;
    }
    let words: Vec<String> = text
        .split([' ', ',', '-'])
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().flat_map(char::to_lowercase).map(plain).collect())
        .collect();
    let known = |word: &String| has(FIRST, word);
    words.len() <= 4 && (words.first().is_some_and(known) || words.get(1).is_some_and(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns_are_read_in_several_languages() {
        for (name, kind) in [
            ("email", Some(Kind::Mail)),
            ("EMailAddress", Some(Kind::Mail)),
            ("customer_email_2", Some(Kind::Mail)),
            ("ip_address", Some(Kind::NetworkAddress)),
            ("ipv4", Some(Kind::NetworkAddress)),
            ("HomeAddress", Some(Kind::Address)),
            ("Straße", Some(Kind::Address)),
            ("geburtsdatum", Some(Kind::BirthDate)),
            ("date_of_birth", Some(Kind::BirthDate)),
            ("Date de naissance", Some(Kind::BirthDate)),
            ("fecha_nacimiento", Some(Kind::BirthDate)),
            ("codice_fiscale", Some(Kind::NationalId)),
            ("PESEL", Some(Kind::NationalId)),
            ("name", Some(Kind::Name)),
            ("FirstName", Some(Kind::Name)),
            ("nom", Some(Kind::Name)),
            ("téléphone", Some(Kind::Phone)),
            ("contraseña", Some(Kind::Secret)),
            ("geb_dat", Some(Kind::BirthDate)),
            ("phone_model", None),
            ("product_name", None),
            ("file_name", None),
            ("email_verified", None),
            ("amount", None),
            ("description", None),
            ("language", None),
            ("page", None),
            ("id", None),
        ] {
            assert_eq!(of_name(name), kind, "{name}");
        }
        assert!(is_of_person("Anna Müller") && is_of_person("Smith, John"));
        assert!(!is_of_person("Berlin") && !is_of_person("4 Anna"));
    }
}
